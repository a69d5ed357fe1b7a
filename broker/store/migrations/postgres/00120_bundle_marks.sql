-- Nothing to do here: this engine keeps the envelope apart from the row. On SQLite it goes last.

-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
