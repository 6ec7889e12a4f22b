-- +goose Up
CREATE TABLE agent_agents (
    user_id     VARCHAR(36) NOT NULL,
    unit_id     VARCHAR(36) NOT NULL,
    phone       VARCHAR(60) NOT NULL,
    auto_answer BOOLEAN NOT NULL,
    created_at  DATETIME NOT NULL,
    updated_at  DATETIME NOT NULL,
    PRIMARY KEY (user_id)
);
CREATE INDEX agent_agents_unit ON agent_agents (unit_id);

CREATE TABLE agent_skills (
    id      VARCHAR(36) NOT NULL,
    unit_id VARCHAR(36) NOT NULL,
    name    VARCHAR(60) NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX agent_skills_name ON agent_skills (unit_id, name);

CREATE TABLE agent_agent_skills (
    user_id VARCHAR(36) NOT NULL,
    skill   VARCHAR(60) NOT NULL,
    level   INTEGER NOT NULL,
    PRIMARY KEY (user_id, skill)
);

CREATE TABLE agent_break_reasons (
    id      VARCHAR(36) NOT NULL,
    unit_id VARCHAR(36) NOT NULL,
    code    VARCHAR(60) NOT NULL,
    name_zh VARCHAR(120) NOT NULL,
    name_en VARCHAR(120) NOT NULL,
    active  BOOLEAN NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX agent_break_reasons_code ON agent_break_reasons (unit_id, code);

CREATE TABLE agent_intervals (
    id       VARCHAR(36) NOT NULL,
    unit_id  VARCHAR(36) NOT NULL,
    user_id  VARCHAR(36) NOT NULL,
    state    VARCHAR(20) NOT NULL,
    reason   VARCHAR(60) NOT NULL,
    call_id  VARCHAR(36) NOT NULL,
    queue_id VARCHAR(36) NOT NULL,
    phone    VARCHAR(60) NOT NULL,
    started  DATETIME NOT NULL,
    ended    DATETIME NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX agent_intervals_user ON agent_intervals (user_id, started);
CREATE INDEX agent_intervals_unit ON agent_intervals (unit_id, started);

CREATE TABLE acd_queues (
    id         VARCHAR(36) NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(60) NOT NULL,
    open       BOOLEAN NOT NULL,
    settings   TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX acd_queues_name ON acd_queues (unit_id, name);

CREATE TABLE acd_members (
    queue_id VARCHAR(36) NOT NULL,
    user_id  VARCHAR(36) NOT NULL,
    priority INTEGER NOT NULL,
    PRIMARY KEY (queue_id, user_id)
);
CREATE INDEX acd_members_user ON acd_members (user_id);

CREATE TABLE ivr_flows (
    id         VARCHAR(36) NOT NULL,
    unit_id    VARCHAR(36) NOT NULL,
    name       VARCHAR(120) NOT NULL,
    document   TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ivr_flows_name ON ivr_flows (unit_id, name);

-- +goose Down
DROP TABLE IF EXISTS ivr_flows;
DROP TABLE IF EXISTS acd_members;
DROP TABLE IF EXISTS acd_queues;
DROP TABLE IF EXISTS agent_intervals;
DROP TABLE IF EXISTS agent_break_reasons;
DROP TABLE IF EXISTS agent_agent_skills;
DROP TABLE IF EXISTS agent_skills;
DROP TABLE IF EXISTS agent_agents;
