-- +goose Up
-- What a transaction says to the event stream or to the jobs; a relay carries it there and deletes it.
CREATE TABLE IF NOT EXISTS kernel_outbox (
    id         BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind       VARCHAR(20)  NOT NULL, -- event or job
    msg_id     VARCHAR(255) NOT NULL,
    payload    MEDIUMBLOB   NOT NULL,
    created_at DATETIME(6)  NOT NULL,
    sent_at    DATETIME(6)  NULL,     -- the last attempt, if any
    UNIQUE KEY kernel_outbox_msg (kind, msg_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS kernel_outbox;
