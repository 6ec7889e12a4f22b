-- +goose Up
CREATE TABLE hours_calendars (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(100) NOT NULL,
    plan       TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL
);
CREATE UNIQUE INDEX hours_calendars_name ON hours_calendars (unit_id, name);

CREATE TABLE route_trunks (
    id              VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id         VARCHAR(36) NOT NULL,
    name            VARCHAR(40) NOT NULL,
    label           VARCHAR(100) NOT NULL,
    host            VARCHAR(255) NOT NULL,
    addresses       TEXT NOT NULL,
    auth_user       VARCHAR(100) NOT NULL,
    password        VARCHAR(100) NOT NULL,
    register        BOOLEAN NOT NULL,
    codecs          TEXT NOT NULL,
    qualify_seconds INTEGER NOT NULL,
    enabled         BOOLEAN NOT NULL,
    channel_limit   INTEGER NOT NULL,
    when_full       VARCHAR(20) NOT NULL,
    classes         TEXT NOT NULL,
    priority        INTEGER NOT NULL,
    country         VARCHAR(2) NOT NULL,
    formats         TEXT NOT NULL,
    callers         TEXT NOT NULL,
    caller          VARCHAR(20) NOT NULL,
    created_at      DATETIME NOT NULL,
    updated_at      DATETIME NOT NULL
);
CREATE UNIQUE INDEX route_trunks_name ON route_trunks (name);
CREATE INDEX route_trunks_unit ON route_trunks (unit_id, name);

CREATE TABLE route_numbers (
    id              VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id         VARCHAR(36) NOT NULL,
    number          VARCHAR(21) NOT NULL,
    service         VARCHAR(100) NOT NULL,
    carrier         VARCHAR(100) NOT NULL,
    trunk           VARCHAR(40) NOT NULL,
    purpose         VARCHAR(100) NOT NULL,
    state           VARCHAR(20) NOT NULL,
    caller_identity BOOLEAN NOT NULL,
    language        VARCHAR(10) NOT NULL,
    flow            VARCHAR(36) NOT NULL,
    rules           TEXT NOT NULL,
    created_at      DATETIME NOT NULL,
    updated_at      DATETIME NOT NULL
);
CREATE UNIQUE INDEX route_numbers_number ON route_numbers (number);
CREATE INDEX route_numbers_unit ON route_numbers (unit_id, number);

CREATE TABLE route_phones (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(40) NOT NULL,
    label      VARCHAR(100) NOT NULL,
    webrtc     BOOLEAN NOT NULL,
    owner_id   VARCHAR(36) NOT NULL,
    codecs     TEXT NOT NULL,
    password   VARCHAR(100) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL
);
CREATE UNIQUE INDEX route_phones_name ON route_phones (name);
CREATE INDEX route_phones_unit ON route_phones (unit_id, name);
CREATE INDEX route_phones_owner ON route_phones (owner_id);

CREATE TABLE route_barred (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    number     VARCHAR(21) NOT NULL,
    is_prefix  BOOLEAN NOT NULL,
    reason     VARCHAR(200) NOT NULL,
    created_at DATETIME NOT NULL
);
CREATE UNIQUE INDEX route_barred_number ON route_barred (unit_id, number, is_prefix);

CREATE TABLE route_speed_dials (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    owner_id   VARCHAR(36) NOT NULL,
    key_name   VARCHAR(20) NOT NULL,
    label      VARCHAR(100) NOT NULL,
    number     VARCHAR(40) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL
);
CREATE UNIQUE INDEX route_speed_dials_key ON route_speed_dials (unit_id, owner_id, key_name);
CREATE INDEX route_speed_dials_owner ON route_speed_dials (owner_id);

CREATE TABLE crm_customers (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(120) NOT NULL,
    language   VARCHAR(10) NOT NULL,
    grade      VARCHAR(20) NOT NULL,
    notes      TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL
);
CREATE INDEX crm_customers_name ON crm_customers (name);
CREATE INDEX crm_customers_unit ON crm_customers (unit_id, name);

CREATE TABLE crm_numbers (
    tenant_id   VARCHAR(36) NOT NULL,
    number      VARCHAR(40) NOT NULL,
    customer_id VARCHAR(36) NOT NULL,
    unit_id     VARCHAR(36) NOT NULL,
    created_at  DATETIME NOT NULL,
    PRIMARY KEY (tenant_id, number)
);
CREATE INDEX crm_numbers_customer ON crm_numbers (customer_id);
CREATE INDEX crm_numbers_number ON crm_numbers (number);

-- +goose Down
DROP TABLE crm_numbers;
DROP TABLE crm_customers;
DROP TABLE route_speed_dials;
DROP TABLE route_barred;
DROP TABLE route_phones;
DROP TABLE route_numbers;
DROP TABLE route_trunks;
DROP TABLE hours_calendars;
