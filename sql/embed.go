// Package sql holds the migrations: the same numbers in sqlite/ and mysql/, put into the binary.
//
// Each module has its own file: 00001 kernel, 00002 user and audit, 00003 route and crm, 00004 agent and acd, 00005 call
// history, 00006 recording and voicemail, 00007 webhook. A file begins with "-- +goose Up" and ends with the way back,
// "-- +goose Down". Statements end with ";"; one that has ";" inside stands between "-- +goose StatementBegin" and
// "-- +goose StatementEnd".
//
// SQLite applies a file as a whole or not at all. MySQL commits after each statement: a file that fails half-way runs
// again from its top, so write CREATE TABLE IF NOT EXISTS with the indexes inside, and DROP TABLE IF EXISTS; a change to
// an existing table gets a file of one statement.
//
// Types: VARCHAR(36) for ids, DATETIME in SQLite and DATETIME(6) in MySQL for times, BOOLEAN, INTEGER in SQLite and
// INTEGER or BIGINT in MySQL, TEXT and BLOB (MEDIUMTEXT, MEDIUMBLOB), and for JSON TEXT in SQLite and JSON in MySQL.
// Tests compare both ([callplane/app/kernel/db/dbtest.CheckSchemas]) and compare models with tables (CheckModels).
package sql

import "embed"

// Files holds sqlite/NNNNN_name.sql and mysql/NNNNN_name.sql.
//
//go:embed sqlite/*.sql mysql/*.sql
var Files embed.FS
