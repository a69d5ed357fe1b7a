-- +goose Up
-- Which of the brokers on the store leads. Each take-over has the next epoch.
CREATE TABLE leader (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  holder   TEXT NOT NULL,  -- empty after it resigned
  epoch    BIGINT NOT NULL,
  renewals BIGINT NOT NULL
);

-- What each of the others has seen of the leader last, and since when by its own clock.
CREATE TABLE leader_watch (
  holder   TEXT PRIMARY KEY,
  renewals BIGINT NOT NULL,
  since    BIGINT NOT NULL
);

-- +goose Down
SELECT 1;
