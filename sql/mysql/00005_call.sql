-- +goose Up
CREATE TABLE IF NOT EXISTS call_calls (
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
    started_at  DATETIME(6) NOT NULL,
    answered_at DATETIME(6),
    talked_at   DATETIME(6),
    ended_at    DATETIME(6) NOT NULL,
    wait_ms     BIGINT NOT NULL,
    talk_ms     BIGINT NOT NULL,
    hold_ms     BIGINT NOT NULL,
    end_class   VARCHAR(20) NOT NULL,
    end_reason  VARCHAR(60) NOT NULL,
    released_by VARCHAR(20) NOT NULL,
    cause       INT NOT NULL,
    dropped     BOOLEAN NOT NULL,
    recorded    BOOLEAN NOT NULL,
    summary     MEDIUMTEXT NOT NULL,
    disposition VARCHAR(60) NOT NULL,
    resolved    BOOLEAN,
    rating      INT,
    ticket      VARCHAR(60) NOT NULL,
    version     INT NOT NULL,
    PRIMARY KEY (id),
    KEY call_calls_unit (unit_id, started_at, id),
    KEY call_calls_started (started_at, id),
    KEY call_calls_from (from_number, started_at),
    KEY call_calls_to (to_number, started_at),
    KEY call_calls_agent (agent_id, started_at),
    KEY call_calls_queue (queue_id, started_at),
    KEY call_calls_customer (customer_id, started_at),
    KEY call_calls_ticket (ticket),
    KEY call_calls_reason (end_reason, started_at)
);

CREATE TABLE IF NOT EXISTS call_legs (
    id          VARCHAR(120) NOT NULL,
    call_id     VARCHAR(36) NOT NULL,
    unit_id     VARCHAR(36) NOT NULL,
    kind        VARCHAR(20) NOT NULL,
    agent_id    VARCHAR(36) NOT NULL,
    phone       VARCHAR(60) NOT NULL,
    trunk       VARCHAR(60) NOT NULL,
    number      VARCHAR(60) NOT NULL,
    dialled     BOOLEAN NOT NULL,
    started_at  DATETIME(6) NOT NULL,
    ringing_at  DATETIME(6),
    answered_at DATETIME(6),
    ended_at    DATETIME(6),
    cause       INT NOT NULL,
    by_us       BOOLEAN NOT NULL,
    PRIMARY KEY (id),
    KEY call_legs_call (call_id)
);

CREATE TABLE IF NOT EXISTS call_segments (
    call_id    VARCHAR(36) NOT NULL,
    no         INT NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    kind       VARCHAR(20) NOT NULL,
    agent_id   VARCHAR(36) NOT NULL,
    queue_id   VARCHAR(36) NOT NULL,
    number     VARCHAR(60) NOT NULL,
    started_at DATETIME(6) NOT NULL,
    ended_at   DATETIME(6) NOT NULL,
    PRIMARY KEY (call_id, no),
    KEY call_segments_agent (agent_id, started_at)
);

CREATE TABLE IF NOT EXISTS call_queue_entries (
    call_id        VARCHAR(36) NOT NULL,
    no             INT NOT NULL,
    unit_id        VARCHAR(36) NOT NULL,
    queue_id       VARCHAR(36) NOT NULL,
    queue_name     VARCHAR(60) NOT NULL,
    joined_at      DATETIME(6) NOT NULL,
    left_at        DATETIME(6) NOT NULL,
    wait_ms        BIGINT NOT NULL,
    position       INT NOT NULL,
    result         VARCHAR(20) NOT NULL,
    short          BOOLEAN NOT NULL,
    agent_id       VARCHAR(36) NOT NULL,
    priority       INT NOT NULL,
    called_back_at DATETIME(6),
    called_back_by VARCHAR(36) NOT NULL,
    PRIMARY KEY (call_id, no),
    KEY call_queue_entries_queue (queue_id, joined_at),
    KEY call_queue_entries_result (unit_id, result, joined_at)
);

CREATE TABLE IF NOT EXISTS call_offers (
    call_id    VARCHAR(36) NOT NULL,
    no         INT NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    queue_id   VARCHAR(36) NOT NULL,
    agent_id   VARCHAR(36) NOT NULL,
    agent_name VARCHAR(120) NOT NULL,
    phone      VARCHAR(60) NOT NULL,
    kind       VARCHAR(20) NOT NULL,
    offered_at DATETIME(6) NOT NULL,
    ringing_at DATETIME(6),
    ended_at   DATETIME(6) NOT NULL,
    ring_ms    BIGINT NOT NULL,
    result     VARCHAR(20) NOT NULL,
    why        JSON NOT NULL,
    PRIMARY KEY (call_id, no),
    KEY call_offers_agent (agent_id, offered_at)
);

CREATE TABLE IF NOT EXISTS call_holds (
    call_id    VARCHAR(36) NOT NULL,
    no         INT NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    agent_id   VARCHAR(36) NOT NULL,
    started_at DATETIME(6) NOT NULL,
    ended_at   DATETIME(6) NOT NULL,
    PRIMARY KEY (call_id, no)
);

CREATE TABLE IF NOT EXISTS call_timelines (
    call_id VARCHAR(36) NOT NULL,
    unit_id VARCHAR(36) NOT NULL,
    body    MEDIUMTEXT NOT NULL,
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
