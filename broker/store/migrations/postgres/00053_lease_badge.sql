-- +goose Up
-- When the badge that opened a session ends by itself; no extension outlasts it.
ALTER TABLE leases ADD COLUMN badge_ends_at BIGINT NOT NULL DEFAULT 0;

-- +goose Down
SELECT 1;
