-- +goose Up
CREATE TABLE IF NOT EXISTS agent_agents (
    user_id     VARCHAR(36) NOT NULL,
    unit_id     VARCHAR(36) NOT NULL,
    phone       VARCHAR(60) NOT NULL,
    auto_answer BOOLEAN NOT NULL,
    created_at  DATETIME(6) NOT NULL,
    updated_at  DATETIME(6) NOT NULL,
    PRIMARY KEY (user_id),
    KEY agent_agents_unit (unit_id)
);

CREATE TABLE IF NOT EXISTS agent_skills (
    id      VARCHAR(36) NOT NULL,
    unit_id VARCHAR(36) NOT NULL,
    name    VARCHAR(60) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY agent_skills_name (unit_id, name)
);

CREATE TABLE IF NOT EXISTS agent_agent_skills (
    user_id VARCHAR(36) NOT NULL,
    skill   VARCHAR(60) NOT NULL,
    level   INT NOT NULL,
    PRIMARY KEY (user_id, skill)
);

CREATE TABLE IF NOT EXISTS agent_break_reasons (
    id      VARCHAR(36) NOT NULL,
    unit_id VARCHAR(36) NOT NULL,
    code    VARCHAR(60) NOT NULL,
    name_zh VARCHAR(120) NOT NULL,
    name_en VARCHAR(120) NOT NULL,
    active  BOOLEAN NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY agent_break_reasons_code (unit_id, code)
);

CREATE TABLE IF NOT EXISTS agent_intervals (
    id       VARCHAR(36) NOT NULL,
    unit_id  VARCHAR(36) NOT NULL,
    user_id  VARCHAR(36) NOT NULL,
    state    VARCHAR(20) NOT NULL,
    reason   VARCHAR(60) NOT NULL,
    call_id  VARCHAR(36) NOT NULL,
    queue_id VARCHAR(36) NOT NULL,
    phone    VARCHAR(60) NOT NULL,
    started  DATETIME(6) NOT NULL,
    ended    DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    KEY agent_intervals_user (user_id, started),
    KEY agent_intervals_unit (unit_id, started)
);

CREATE TABLE IF NOT EXISTS acd_queues (
    id         VARCHAR(36) NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(60) NOT NULL,
    open       BOOLEAN NOT NULL,
    settings   JSON NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY acd_queues_name (unit_id, name)
);

CREATE TABLE IF NOT EXISTS acd_members (
    queue_id VARCHAR(36) NOT NULL,
    user_id  VARCHAR(36) NOT NULL,
    priority INT NOT NULL,
    PRIMARY KEY (queue_id, user_id),
    KEY acd_members_user (user_id)
);

CREATE TABLE IF NOT EXISTS ivr_flows (
    id         VARCHAR(36) NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(120) NOT NULL,
    document   MEDIUMTEXT NOT NULL,
    version    INT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY ivr_flows_name (unit_id, name)
);

-- +goose Down
DROP TABLE IF EXISTS ivr_flows;
DROP TABLE IF EXISTS acd_members;
DROP TABLE IF EXISTS acd_queues;
DROP TABLE IF EXISTS agent_intervals;
DROP TABLE IF EXISTS agent_break_reasons;
DROP TABLE IF EXISTS agent_agent_skills;
DROP TABLE IF EXISTS agent_skills;
DROP TABLE IF EXISTS agent_agents;
