-- +goose Up
CREATE TABLE IF NOT EXISTS hours_calendars (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(100) NOT NULL,
    plan       JSON NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    UNIQUE KEY hours_calendars_name (unit_id, name)
);

CREATE TABLE IF NOT EXISTS route_trunks (
    id              VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id         VARCHAR(36) NOT NULL,
    name            VARCHAR(40) NOT NULL,
    label           VARCHAR(100) NOT NULL,
    host            VARCHAR(255) NOT NULL,
    addresses       JSON NOT NULL,
    auth_user       VARCHAR(100) NOT NULL,
    password        VARCHAR(100) NOT NULL,
    register        BOOLEAN NOT NULL,
    codecs          JSON NOT NULL,
    qualify_seconds INT NOT NULL,
    enabled         BOOLEAN NOT NULL,
    channel_limit   INT NOT NULL,
    when_full       VARCHAR(20) NOT NULL,
    classes         JSON NOT NULL,
    priority        INT NOT NULL,
    country         VARCHAR(2) NOT NULL,
    formats         JSON NOT NULL,
    callers         JSON NOT NULL,
    caller          VARCHAR(20) NOT NULL,
    created_at      DATETIME(6) NOT NULL,
    updated_at      DATETIME(6) NOT NULL,
    UNIQUE KEY route_trunks_name (name),
    KEY route_trunks_unit (unit_id, name)
);

CREATE TABLE IF NOT EXISTS route_numbers (
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
    rules           JSON NOT NULL,
    created_at      DATETIME(6) NOT NULL,
    updated_at      DATETIME(6) NOT NULL,
    UNIQUE KEY route_numbers_number (number),
    KEY route_numbers_unit (unit_id, number)
);

CREATE TABLE IF NOT EXISTS route_phones (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(40) NOT NULL,
    label      VARCHAR(100) NOT NULL,
    webrtc     BOOLEAN NOT NULL,
    owner_id   VARCHAR(36) NOT NULL,
    codecs     JSON NOT NULL,
    password   VARCHAR(100) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    UNIQUE KEY route_phones_name (name),
    KEY route_phones_unit (unit_id, name),
    KEY route_phones_owner (owner_id)
);

CREATE TABLE IF NOT EXISTS route_barred (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    number     VARCHAR(21) NOT NULL,
    is_prefix  BOOLEAN NOT NULL,
    reason     VARCHAR(200) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    UNIQUE KEY route_barred_number (unit_id, number, is_prefix)
);

CREATE TABLE IF NOT EXISTS route_speed_dials (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    owner_id   VARCHAR(36) NOT NULL,
    key_name   VARCHAR(20) NOT NULL,
    label      VARCHAR(100) NOT NULL,
    number     VARCHAR(40) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    UNIQUE KEY route_speed_dials_key (unit_id, owner_id, key_name),
    KEY route_speed_dials_owner (owner_id)
);

CREATE TABLE IF NOT EXISTS crm_customers (
    id         VARCHAR(36) NOT NULL PRIMARY KEY,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(120) NOT NULL,
    language   VARCHAR(10) NOT NULL,
    grade      VARCHAR(20) NOT NULL,
    notes      TEXT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    KEY crm_customers_name (name),
    KEY crm_customers_unit (unit_id, name)
);

CREATE TABLE IF NOT EXISTS crm_numbers (
    tenant_id   VARCHAR(36) NOT NULL,
    number      VARCHAR(40) NOT NULL,
    customer_id VARCHAR(36) NOT NULL,
    unit_id     VARCHAR(36) NOT NULL,
    created_at  DATETIME(6) NOT NULL,
    PRIMARY KEY (tenant_id, number),
    KEY crm_numbers_customer (customer_id),
    KEY crm_numbers_number (number)
);

-- +goose Down
DROP TABLE IF EXISTS crm_numbers;
DROP TABLE IF EXISTS crm_customers;
DROP TABLE IF EXISTS route_speed_dials;
DROP TABLE IF EXISTS route_barred;
DROP TABLE IF EXISTS route_phones;
DROP TABLE IF EXISTS route_numbers;
DROP TABLE IF EXISTS route_trunks;
DROP TABLE IF EXISTS hours_calendars;
