-- When the broker learnt of a session's end, by its own clock: what is done because of the end must not hang on the station's clock.

-- +goose Up
ALTER TABLE sessions ADD COLUMN end_received_at BIGINT NOT NULL DEFAULT 0;
UPDATE sessions SET end_received_at = closed_at WHERE closed_at > 0;

-- +goose Down
SELECT 1;
