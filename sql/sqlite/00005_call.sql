-- +goose Up
CREATE TABLE call_calls (
    id          VARCHAR(36) NOT NULL,
    unit_id     VARCHAR(36) NOT NULL,
    node        VARCHAR(60) NOT NULL,
    direction   VARCHAR(20) NOT NULL,
    from_number VARCHAR(60) NOT NULL,
    from_raw    VARCHAR(120) NOT NULL,
    from_name   VARCHAR(120) NOT NULL,
    withheld    BOOLEAN NOT NULL,
    to_number   VARCHAR(60) NOT NULL,
    to_raw      VARCHAR(120) NOT NULL,
    number_id   VARCHAR(36) NOT NULL,
    service     VARCHAR(120) NOT NULL,
    trunk       VARCHAR(60) NOT NULL,
    flow_id     VARCHAR(36) NOT NULL,
    path        VARCHAR(200) NOT NULL,
    language    VARCHAR(20) NOT NULL,
    customer_id VARCHAR(36) NOT NULL,
    queue_id    VARCHAR(36) NOT NULL,
    queue_name  VARCHAR(60) NOT NULL,
    agent_id    VARCHAR(36) NOT NULL,
    agent_name  VARCHAR(120) NOT NULL,
    started_at  DATETIME NOT NULL,
    answered_at DATETIME,
    talked_at   DATETIME,
    ended_at    DATETIME NOT NULL,
    wait_ms     BIGINT NOT NULL,
    talk_ms     BIGINT NOT NULL,
    hold_ms     BIGINT NOT NULL,
    end_class   VARCHAR(20) NOT NULL,
    end_reason  VARCHAR(60) NOT NULL,
    released_by VARCHAR(20) NOT NULL,
    cause       INTEGER NOT NULL,
    dropped     BOOLEAN NOT NULL,
    recorded    BOOLEAN NOT NULL,
    summary     TEXT NOT NULL,
    disposition VARCHAR(60) NOT NULL,
    resolved    BOOLEAN,
    rating      INTEGER,
    ticket      VARCHAR(60) NOT NULL,
    version     INTEGER NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX call_calls_unit ON call_calls (unit_id, started_at, id);
CREATE INDEX call_calls_started ON call_calls (started_at, id);
CREATE INDEX call_calls_from ON call_calls (from_number, started_at);
CREATE INDEX call_calls_to ON call_calls (to_number, started_at);
CREATE INDEX call_calls_agent ON call_calls (agent_id, started_at);
CREATE INDEX call_calls_queue ON call_calls (queue_id, started_at);
CREATE INDEX call_calls_customer ON call_calls (customer_id, started_at);
CREATE INDEX call_calls_ticket ON call_calls (ticket);
CREATE INDEX call_calls_reason ON call_calls (end_reason, started_at);

CREATE TABLE call_legs (
    id          VARCHAR(120) NOT NULL,
    call_id     VARCHAR(36) NOT NULL,
    unit_id     VARCHAR(36) NOT NULL,
    kind        VARCHAR(20) NOT NULL,
    agent_id    VARCHAR(36) NOT NULL,
    phone       VARCHAR(60) NOT NULL,
    trunk       VARCHAR(60) NOT NULL,
    number      VARCHAR(60) NOT NULL,
    dialled     BOOLEAN NOT NULL,
    started_at  DATETIME NOT NULL,
    ringing_at  DATETIME,
    answered_at DATETIME,
    ended_at    DATETIME,
    cause       INTEGER NOT NULL,
    by_us       BOOLEAN NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX call_legs_call ON call_legs (call_id);

CREATE TABLE call_segments (
    call_id    VARCHAR(36) NOT NULL,
    no         INTEGER NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    kind       VARCHAR(20) NOT NULL,
    agent_id   VARCHAR(36) NOT NULL,
    queue_id   VARCHAR(36) NOT NULL,
    number     VARCHAR(60) NOT NULL,
    started_at DATETIME NOT NULL,
    ended_at   DATETIME NOT NULL,
    PRIMARY KEY (call_id, no)
);
CREATE INDEX call_segments_agent ON call_segments (agent_id, started_at);

CREATE TABLE call_queue_entries (
    call_id        VARCHAR(36) NOT NULL,
    no             INTEGER NOT NULL,
    unit_id        VARCHAR(36) NOT NULL,
    queue_id       VARCHAR(36) NOT NULL,
    queue_name     VARCHAR(60) NOT NULL,
    joined_at      DATETIME NOT NULL,
    left_at        DATETIME NOT NULL,
    wait_ms        BIGINT NOT NULL,
    position       INTEGER NOT NULL,
    result         VARCHAR(20) NOT NULL,
    short          BOOLEAN NOT NULL,
    agent_id       VARCHAR(36) NOT NULL,
    priority       INTEGER NOT NULL,
    called_back_at DATETIME,
    called_back_by VARCHAR(36) NOT NULL,
    PRIMARY KEY (call_id, no)
);
CREATE INDEX call_queue_entries_queue ON call_queue_entries (queue_id, joined_at);
CREATE INDEX call_queue_entries_result ON call_queue_entries (unit_id, result, joined_at);

CREATE TABLE call_offers (
    call_id    VARCHAR(36) NOT NULL,
    no         INTEGER NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    queue_id   VARCHAR(36) NOT NULL,
    agent_id   VARCHAR(36) NOT NULL,
    agent_name VARCHAR(120) NOT NULL,
    phone      VARCHAR(60) NOT NULL,
    kind       VARCHAR(20) NOT NULL,
    offered_at DATETIME NOT NULL,
    ringing_at DATETIME,
    ended_at   DATETIME NOT NULL,
    ring_ms    BIGINT NOT NULL,
    result     VARCHAR(20) NOT NULL,
    why        TEXT NOT NULL,
    PRIMARY KEY (call_id, no)
);
CREATE INDEX call_offers_agent ON call_offers (agent_id, offered_at);

CREATE TABLE call_holds (
    call_id    VARCHAR(36) NOT NULL,
    no         INTEGER NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    agent_id   VARCHAR(36) NOT NULL,
    started_at DATETIME NOT NULL,
    ended_at   DATETIME NOT NULL,
    PRIMARY KEY (call_id, no)
);

CREATE TABLE call_timelines (
    call_id VARCHAR(36) NOT NULL,
    unit_id VARCHAR(36) NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (call_id)
);

-- +goose Down
DROP TABLE IF EXISTS call_timelines;
DROP TABLE IF EXISTS call_holds;
DROP TABLE IF EXISTS call_offers;
DROP TABLE IF EXISTS call_queue_entries;
DROP TABLE IF EXISTS call_segments;
DROP TABLE IF EXISTS call_legs;
DROP TABLE IF EXISTS call_calls;
