-- +goose Up
CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash CHAR(64) NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '');

CREATE TABLE audit_entries (
    seq        BIGINT NOT NULL PRIMARY KEY,
    at         DATETIME NOT NULL,
    actor      VARCHAR(100) NOT NULL,
    actor_name VARCHAR(120) NOT NULL,
    address    VARCHAR(60) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    action     VARCHAR(120) NOT NULL,
    object     VARCHAR(60) NOT NULL,
    object_id  VARCHAR(200) NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    detail     TEXT NOT NULL,
    prev_hash  CHAR(64) NOT NULL,
    hash       CHAR(64) NOT NULL
);
CREATE INDEX audit_entries_at ON audit_entries (at);
CREATE INDEX audit_entries_actor ON audit_entries (actor, seq);
CREATE INDEX audit_entries_action ON audit_entries (action, seq);
CREATE INDEX audit_entries_object ON audit_entries (object, object_id, seq);

CREATE TABLE user_units (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    parent_id  VARCHAR(36) NOT NULL,
    name       VARCHAR(120) NOT NULL,
    kind       VARCHAR(20) NOT NULL,
    path       VARCHAR(700) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL
);
CREATE UNIQUE INDEX user_units_name ON user_units (parent_id, name);
CREATE UNIQUE INDEX user_units_path ON user_units (path);

CREATE TABLE user_users (
    id            VARCHAR(36) NOT NULL PRIMARY KEY,
    tenant_id     VARCHAR(36) NOT NULL,
    unit_id       VARCHAR(36) NOT NULL,
    login         VARCHAR(60) NOT NULL,
    name          VARCHAR(120) NOT NULL,
    email         VARCHAR(254) NOT NULL,
    language      VARCHAR(10) NOT NULL,
    active        BOOLEAN NOT NULL,
    roles         TEXT NOT NULL,
    password_hash VARCHAR(200) NOT NULL,
    password_at   DATETIME NOT NULL,
    must_change   BOOLEAN NOT NULL,
    history       TEXT NOT NULL,
    failed        INTEGER NOT NULL,
    locked_until  DATETIME,
    totp_secret   VARCHAR(64) NOT NULL,
    totp_on       BOOLEAN NOT NULL,
    totp_step     BIGINT NOT NULL,
    recovery      TEXT NOT NULL,
    last_login_at DATETIME,
    last_address  VARCHAR(60) NOT NULL,
    created_at    DATETIME NOT NULL,
    updated_at    DATETIME NOT NULL
);
CREATE UNIQUE INDEX user_users_login ON user_users (tenant_id, login);
CREATE INDEX user_users_unit ON user_users (unit_id);

CREATE TABLE user_roles (
    id            VARCHAR(36) NOT NULL PRIMARY KEY,
    tenant_id     VARCHAR(36) NOT NULL,
    name          VARCHAR(60) NOT NULL,
    doc           VARCHAR(500) NOT NULL,
    grants        TEXT NOT NULL,
    second_factor BOOLEAN NOT NULL,
    created_at    DATETIME NOT NULL,
    updated_at    DATETIME NOT NULL
);
CREATE UNIQUE INDEX user_roles_name ON user_roles (tenant_id, name);

CREATE TABLE user_keys (
    id           VARCHAR(36) NOT NULL PRIMARY KEY,
    tenant_id    VARCHAR(36) NOT NULL,
    unit_id      VARCHAR(36) NOT NULL,
    name         VARCHAR(120) NOT NULL,
    secret_hash  CHAR(64) NOT NULL,
    hint         VARCHAR(12) NOT NULL,
    permissions  TEXT NOT NULL,
    per_second   DOUBLE NOT NULL,
    created_by   VARCHAR(36) NOT NULL,
    created_at   DATETIME NOT NULL,
    expires_at   DATETIME,
    last_used_at DATETIME,
    last_address VARCHAR(60) NOT NULL,
    revoked_at   DATETIME
);
CREATE UNIQUE INDEX user_keys_secret ON user_keys (secret_hash);
CREATE INDEX user_keys_unit ON user_keys (unit_id);

CREATE TABLE user_sessions (
    id          VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id     VARCHAR(36) NOT NULL,
    token_hash  CHAR(64) NOT NULL,
    address     VARCHAR(60) NOT NULL,
    user_agent  VARCHAR(300) NOT NULL,
    created_at  DATETIME NOT NULL,
    seen_at     DATETIME NOT NULL,
    expires_at  DATETIME NOT NULL,
    ended_at    DATETIME,
    ended_why   VARCHAR(30) NOT NULL,
    ended_from  VARCHAR(60) NOT NULL
);
CREATE UNIQUE INDEX user_sessions_token ON user_sessions (token_hash);
CREATE INDEX user_sessions_user ON user_sessions (user_id, created_at);

-- +goose Down
DROP TABLE user_sessions;
DROP TABLE user_keys;
DROP TABLE user_roles;
DROP TABLE user_users;
DROP TABLE user_units;
DROP TABLE audit_entries;
DROP TABLE audit_head;
