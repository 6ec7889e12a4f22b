-- +goose Up
-- What a transaction says to the event stream or to the jobs; a relay carries it there and deletes it.
CREATE TABLE kernel_outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       VARCHAR(20)  NOT NULL, -- event or job
    msg_id     VARCHAR(255) NOT NULL,
    payload    BLOB         NOT NULL,
    created_at DATETIME     NOT NULL,
    sent_at    DATETIME               -- the last attempt, if any
);
CREATE UNIQUE INDEX kernel_outbox_msg ON kernel_outbox (kind, msg_id);

-- +goose Down
DROP TABLE kernel_outbox;
