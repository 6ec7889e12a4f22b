-- +goose Up
CREATE TABLE IF NOT EXISTS recording_recordings (
    id          VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id     VARCHAR(36) NOT NULL,
    call_id     VARCHAR(36) NOT NULL,
    queue_id    VARCHAR(36) NOT NULL,
    agent_id    VARCHAR(36) NOT NULL,
    agents      JSON NOT NULL,
    direction   VARCHAR(20) NOT NULL,
    from_number VARCHAR(40) NOT NULL,
    to_number   VARCHAR(40) NOT NULL,
    started_at  DATETIME(6) NOT NULL,
    length_ms   BIGINT NOT NULL,
    expected_ms BIGINT NOT NULL,
    missing_ms  BIGINT NOT NULL,
    bytes       BIGINT NOT NULL,
    sha256      VARCHAR(64) NOT NULL,
    file        VARCHAR(255) NOT NULL,
    state       VARCHAR(20) NOT NULL,
    error       VARCHAR(500) NOT NULL,
    peaks       BLOB NOT NULL,
    created_at  DATETIME(6) NOT NULL,
    updated_at  DATETIME(6) NOT NULL,
    KEY recording_recordings_started (started_at, id),
    KEY recording_recordings_unit (unit_id, started_at, id),
    KEY recording_recordings_queue (queue_id, started_at, id),
    KEY recording_recordings_call (call_id),
    KEY recording_recordings_agent (agent_id, started_at, id),
    KEY recording_recordings_from (from_number, started_at),
    KEY recording_recordings_to (to_number, started_at),
    KEY recording_recordings_state (state, started_at, id)
);

CREATE TABLE IF NOT EXISTS recording_parties (
    recording_id VARCHAR(36) NOT NULL,
    agent_id     VARCHAR(36) NOT NULL,
    PRIMARY KEY (recording_id, agent_id),
    KEY recording_parties_agent (agent_id, recording_id)
);

CREATE TABLE IF NOT EXISTS voicemail_messages (
    id          VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id     VARCHAR(36) NOT NULL,
    call_id     VARCHAR(36) NOT NULL,
    queue_id    VARCHAR(36) NOT NULL,
    queue_name  VARCHAR(120) NOT NULL,
    caller      VARCHAR(40) NOT NULL,
    caller_name VARCHAR(120) NOT NULL,
    started_at  DATETIME(6) NOT NULL,
    length_ms   BIGINT NOT NULL,
    bytes       BIGINT NOT NULL,
    sha256      VARCHAR(64) NOT NULL,
    file        VARCHAR(255) NOT NULL,
    state       VARCHAR(20) NOT NULL,
    heard_at    DATETIME(6),
    heard_by    VARCHAR(36) NOT NULL,
    created_at  DATETIME(6) NOT NULL,
    updated_at  DATETIME(6) NOT NULL,
    KEY voicemail_messages_started (started_at, id),
    KEY voicemail_messages_unit (unit_id, started_at, id),
    KEY voicemail_messages_queue (queue_id, started_at, id),
    KEY voicemail_messages_call (call_id)
);

CREATE TABLE IF NOT EXISTS voicemail_tasks (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    kind       VARCHAR(20) NOT NULL,
    call_id    VARCHAR(36) NOT NULL,
    message_id VARCHAR(36) NOT NULL,
    queue_id   VARCHAR(36) NOT NULL,
    queue_name VARCHAR(120) NOT NULL,
    number     VARCHAR(40) NOT NULL,
    note       VARCHAR(1000) NOT NULL,
    due_at     DATETIME(6) NOT NULL,
    overdue_at DATETIME(6),
    state      VARCHAR(20) NOT NULL,
    owner_id   VARCHAR(36) NOT NULL,
    claimed_at DATETIME(6),
    done_at    DATETIME(6),
    done_by    VARCHAR(36) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    KEY voicemail_tasks_due (state, due_at, id),
    KEY voicemail_tasks_unit (unit_id, state, due_at),
    KEY voicemail_tasks_queue (queue_id, state, due_at),
    KEY voicemail_tasks_owner (owner_id, state, due_at),
    KEY voicemail_tasks_call (call_id)
);

-- +goose Down
DROP TABLE IF EXISTS voicemail_tasks;
DROP TABLE IF EXISTS voicemail_messages;
DROP TABLE IF EXISTS recording_parties;
DROP TABLE IF EXISTS recording_recordings;
