-- +goose Up
CREATE TABLE webhook_endpoints (
    id            VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id       VARCHAR(36) NOT NULL,
    name          VARCHAR(120) NOT NULL,
    url           VARCHAR(2000) NOT NULL,
    secret        VARCHAR(100) NOT NULL,
    types         TEXT NOT NULL,
    active        BOOLEAN NOT NULL,
    why_off       VARCHAR(300) NOT NULL,
    from_seq      BIGINT NOT NULL,
    failing_since DATETIME,
    created_by    VARCHAR(36) NOT NULL,
    created_at    DATETIME NOT NULL,
    updated_at    DATETIME NOT NULL
);
CREATE INDEX webhook_endpoints_unit ON webhook_endpoints (unit_id, name);

CREATE TABLE webhook_waiting (
    endpoint_id VARCHAR(36) NOT NULL,
    seq         BIGINT NOT NULL,
    event       TEXT NOT NULL,
    since       DATETIME NOT NULL,
    PRIMARY KEY (endpoint_id, seq)
);

CREATE TABLE webhook_attempts (
    id          VARCHAR(36) NOT NULL PRIMARY KEY,
    endpoint_id VARCHAR(36) NOT NULL,
    event_id    VARCHAR(200) NOT NULL,
    event_type  VARCHAR(100) NOT NULL,
    event_key   VARCHAR(200) NOT NULL,
    seq         BIGINT NOT NULL,
    attempt     INTEGER NOT NULL,
    replayed    BOOLEAN NOT NULL,
    at          DATETIME NOT NULL,
    millis      BIGINT NOT NULL,
    status      INTEGER NOT NULL,
    delivered   BOOLEAN NOT NULL,
    error       VARCHAR(500) NOT NULL,
    answer      TEXT NOT NULL
);
CREATE INDEX webhook_attempts_endpoint ON webhook_attempts (endpoint_id, id);

-- +goose Down
DROP TABLE webhook_attempts;
DROP TABLE webhook_waiting;
DROP TABLE webhook_endpoints;
