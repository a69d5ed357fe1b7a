-- +goose Up
-- SQLite lets one write at a time by itself; the number is PostgreSQL's.
SELECT 1;

-- +goose Down
SELECT 1;
