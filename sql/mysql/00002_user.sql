-- +goose Up
CREATE TABLE IF NOT EXISTS audit_head (
    id   INT NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash CHAR(64) NOT NULL
);
INSERT IGNORE INTO audit_head (id, seq, hash) VALUES (1, 0, '');

CREATE TABLE IF NOT EXISTS audit_entries (
    seq        BIGINT NOT NULL PRIMARY KEY,
    at         DATETIME(6) NOT NULL,
    actor      VARCHAR(100) NOT NULL,
    actor_name VARCHAR(120) NOT NULL,
    address    VARCHAR(60) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    action     VARCHAR(120) NOT NULL,
    object     VARCHAR(60) NOT NULL,
    object_id  VARCHAR(200) NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    detail     MEDIUMTEXT NOT NULL,
    prev_hash  CHAR(64) NOT NULL,
    hash       CHAR(64) NOT NULL,
    KEY audit_entries_at (at),
    KEY audit_entries_actor (actor, seq),
    KEY audit_entries_action (action, seq),
    KEY audit_entries_object (object, object_id, seq)
);

CREATE TABLE IF NOT EXISTS user_units (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    parent_id  VARCHAR(36) NOT NULL,
    name       VARCHAR(120) NOT NULL,
    kind       VARCHAR(20) NOT NULL,
    path       VARCHAR(700) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    UNIQUE KEY user_units_name (parent_id, name),
    UNIQUE KEY user_units_path (path)
);

CREATE TABLE IF NOT EXISTS user_users (
    id            VARCHAR(36) NOT NULL PRIMARY KEY,
    tenant_id     VARCHAR(36) NOT NULL,
    unit_id       VARCHAR(36) NOT NULL,
    login         VARCHAR(60) NOT NULL,
    name          VARCHAR(120) NOT NULL,
    email         VARCHAR(254) NOT NULL,
    language      VARCHAR(10) NOT NULL,
    active        BOOLEAN NOT NULL,
    roles         JSON NOT NULL,
    password_hash VARCHAR(200) NOT NULL,
    password_at   DATETIME(6) NOT NULL,
    must_change   BOOLEAN NOT NULL,
    history       JSON NOT NULL,
    failed        INT NOT NULL,
    locked_until  DATETIME(6),
    totp_secret   VARCHAR(64) NOT NULL,
    totp_on       BOOLEAN NOT NULL,
    totp_step     BIGINT NOT NULL,
    recovery      JSON NOT NULL,
    last_login_at DATETIME(6),
    last_address  VARCHAR(60) NOT NULL,
    created_at    DATETIME(6) NOT NULL,
    updated_at    DATETIME(6) NOT NULL,
    UNIQUE KEY user_users_login (tenant_id, login),
    KEY user_users_unit (unit_id)
);

CREATE TABLE IF NOT EXISTS user_roles (
    id            VARCHAR(36) NOT NULL PRIMARY KEY,
    tenant_id     VARCHAR(36) NOT NULL,
    name          VARCHAR(60) NOT NULL,
    doc           VARCHAR(500) NOT NULL,
    grants        JSON NOT NULL,
    second_factor BOOLEAN NOT NULL,
    created_at    DATETIME(6) NOT NULL,
    updated_at    DATETIME(6) NOT NULL,
    UNIQUE KEY user_roles_name (tenant_id, name)
);

CREATE TABLE IF NOT EXISTS user_keys (
    id           VARCHAR(36) NOT NULL PRIMARY KEY,
    tenant_id    VARCHAR(36) NOT NULL,
    unit_id      VARCHAR(36) NOT NULL,
    name         VARCHAR(120) NOT NULL,
    secret_hash  CHAR(64) NOT NULL,
    hint         VARCHAR(12) NOT NULL,
    permissions  JSON NOT NULL,
    per_second   DOUBLE NOT NULL,
    created_by   VARCHAR(36) NOT NULL,
    created_at   DATETIME(6) NOT NULL,
    expires_at   DATETIME(6),
    last_used_at DATETIME(6),
    last_address VARCHAR(60) NOT NULL,
    revoked_at   DATETIME(6),
    UNIQUE KEY user_keys_secret (secret_hash),
    KEY user_keys_unit (unit_id)
);

CREATE TABLE IF NOT EXISTS user_sessions (
    id          VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id     VARCHAR(36) NOT NULL,
    token_hash  CHAR(64) NOT NULL,
    address     VARCHAR(60) NOT NULL,
    user_agent  VARCHAR(300) NOT NULL,
    created_at  DATETIME(6) NOT NULL,
    seen_at     DATETIME(6) NOT NULL,
    expires_at  DATETIME(6) NOT NULL,
    ended_at    DATETIME(6),
    ended_why   VARCHAR(30) NOT NULL,
    ended_from  VARCHAR(60) NOT NULL,
    UNIQUE KEY user_sessions_token (token_hash),
    KEY user_sessions_user (user_id, created_at)
);

-- +goose Down
DROP TABLE IF EXISTS user_sessions;
DROP TABLE IF EXISTS user_keys;
DROP TABLE IF EXISTS user_roles;
DROP TABLE IF EXISTS user_users;
DROP TABLE IF EXISTS user_units;
DROP TABLE IF EXISTS audit_entries;
DROP TABLE IF EXISTS audit_head;
