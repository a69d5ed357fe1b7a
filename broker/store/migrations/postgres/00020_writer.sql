-- +goose Up
-- Whoever writes locks this row first: all brokers on the database are one writer after another.
CREATE TABLE writer (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  looked_up BIGINT NOT NULL DEFAULT 0
);
INSERT INTO writer (one) VALUES (1);

-- The last group that each writer committed: tells after a broken connection whether a commit was done.
CREATE TABLE commits (
  writer     TEXT PRIMARY KEY,
  last_group BIGINT NOT NULL,
  at         BIGINT NOT NULL
);

-- +goose Down
SELECT 1;
