-- +goose Up
CREATE TABLE recording_recordings (
    id          VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id     VARCHAR(36) NOT NULL,
    call_id     VARCHAR(36) NOT NULL,
    queue_id    VARCHAR(36) NOT NULL,
    agent_id    VARCHAR(36) NOT NULL,
    agents      TEXT NOT NULL,
    direction   VARCHAR(20) NOT NULL,
    from_number VARCHAR(40) NOT NULL,
    to_number   VARCHAR(40) NOT NULL,
    started_at  DATETIME NOT NULL,
    length_ms   BIGINT NOT NULL,
    expected_ms BIGINT NOT NULL,
    missing_ms  BIGINT NOT NULL,
    bytes       BIGINT NOT NULL,
    sha256      VARCHAR(64) NOT NULL,
    file        VARCHAR(255) NOT NULL,
    state       VARCHAR(20) NOT NULL,
    error       VARCHAR(500) NOT NULL,
    peaks       BLOB NOT NULL,
    created_at  DATETIME NOT NULL,
    updated_at  DATETIME NOT NULL
);
CREATE INDEX recording_recordings_started ON recording_recordings (started_at, id);
CREATE INDEX recording_recordings_unit ON recording_recordings (unit_id, started_at, id);
CREATE INDEX recording_recordings_queue ON recording_recordings (queue_id, started_at, id);
CREATE INDEX recording_recordings_call ON recording_recordings (call_id);
CREATE INDEX recording_recordings_agent ON recording_recordings (agent_id, started_at, id);
CREATE INDEX recording_recordings_from ON recording_recordings (from_number, started_at);
CREATE INDEX recording_recordings_to ON recording_recordings (to_number, started_at);
CREATE INDEX recording_recordings_state ON recording_recordings (state, started_at, id);

CREATE TABLE recording_parties (
    recording_id VARCHAR(36) NOT NULL,
    agent_id     VARCHAR(36) NOT NULL,
    PRIMARY KEY (recording_id, agent_id)
);
CREATE INDEX recording_parties_agent ON recording_parties (agent_id, recording_id);

CREATE TABLE voicemail_messages (
    id          VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id     VARCHAR(36) NOT NULL,
    call_id     VARCHAR(36) NOT NULL,
    queue_id    VARCHAR(36) NOT NULL,
    queue_name  VARCHAR(120) NOT NULL,
    caller      VARCHAR(40) NOT NULL,
    caller_name VARCHAR(120) NOT NULL,
    started_at  DATETIME NOT NULL,
    length_ms   BIGINT NOT NULL,
    bytes       BIGINT NOT NULL,
    sha256      VARCHAR(64) NOT NULL,
    file        VARCHAR(255) NOT NULL,
    state       VARCHAR(20) NOT NULL,
    heard_at    DATETIME,
    heard_by    VARCHAR(36) NOT NULL,
    created_at  DATETIME NOT NULL,
    updated_at  DATETIME NOT NULL
);
CREATE INDEX voicemail_messages_started ON voicemail_messages (started_at, id);
CREATE INDEX voicemail_messages_unit ON voicemail_messages (unit_id, started_at, id);
CREATE INDEX voicemail_messages_queue ON voicemail_messages (queue_id, started_at, id);
CREATE INDEX voicemail_messages_call ON voicemail_messages (call_id);

CREATE TABLE voicemail_tasks (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    kind       VARCHAR(20) NOT NULL,
    call_id    VARCHAR(36) NOT NULL,
    message_id VARCHAR(36) NOT NULL,
    queue_id   VARCHAR(36) NOT NULL,
    queue_name VARCHAR(120) NOT NULL,
    number     VARCHAR(40) NOT NULL,
    note       VARCHAR(1000) NOT NULL,
    due_at     DATETIME NOT NULL,
    overdue_at DATETIME,
    state      VARCHAR(20) NOT NULL,
    owner_id   VARCHAR(36) NOT NULL,
    claimed_at DATETIME,
    done_at    DATETIME,
    done_by    VARCHAR(36) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL
);
CREATE INDEX voicemail_tasks_due ON voicemail_tasks (state, due_at, id);
CREATE INDEX voicemail_tasks_unit ON voicemail_tasks (unit_id, state, due_at);
CREATE INDEX voicemail_tasks_queue ON voicemail_tasks (queue_id, state, due_at);
CREATE INDEX voicemail_tasks_owner ON voicemail_tasks (owner_id, state, due_at);
CREATE INDEX voicemail_tasks_call ON voicemail_tasks (call_id);

-- +goose Down
DROP TABLE voicemail_tasks;
DROP TABLE voicemail_messages;
DROP TABLE recording_parties;
DROP TABLE recording_recordings;
