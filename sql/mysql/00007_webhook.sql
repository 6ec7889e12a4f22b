-- +goose Up
CREATE TABLE IF NOT EXISTS webhook_endpoints (
    id            VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id       VARCHAR(36) NOT NULL,
    name          VARCHAR(120) NOT NULL,
    url           VARCHAR(2000) NOT NULL,
    secret        VARCHAR(100) NOT NULL,
    types         JSON NOT NULL,
    active        BOOLEAN NOT NULL,
    why_off       VARCHAR(300) NOT NULL,
    from_seq      BIGINT NOT NULL,
    failing_since DATETIME(6),
    created_by    VARCHAR(36) NOT NULL,
    created_at    DATETIME(6) NOT NULL,
    updated_at    DATETIME(6) NOT NULL,
    KEY webhook_endpoints_unit (unit_id, name)
);

CREATE TABLE IF NOT EXISTS webhook_waiting (
    endpoint_id VARCHAR(36) NOT NULL,
    seq         BIGINT NOT NULL,
    event       MEDIUMTEXT NOT NULL,
    since       DATETIME(6) NOT NULL,
    PRIMARY KEY (endpoint_id, seq)
);

CREATE TABLE IF NOT EXISTS webhook_attempts (
    id          VARCHAR(36) NOT NULL PRIMARY KEY,
    endpoint_id VARCHAR(36) NOT NULL,
    event_id    VARCHAR(200) NOT NULL,
    event_type  VARCHAR(100) NOT NULL,
    event_key   VARCHAR(200) NOT NULL,
    seq         BIGINT NOT NULL,
    attempt     INT NOT NULL,
    replayed    BOOLEAN NOT NULL,
    at          DATETIME(6) NOT NULL,
    millis      BIGINT NOT NULL,
    status      INT NOT NULL,
    delivered   BOOLEAN NOT NULL,
    error       VARCHAR(500) NOT NULL,
    answer      TEXT NOT NULL,
    KEY webhook_attempts_endpoint (endpoint_id, id)
);

-- +goose Down
DROP TABLE IF EXISTS webhook_attempts;
DROP TABLE IF EXISTS webhook_waiting;
DROP TABLE IF EXISTS webhook_endpoints;
