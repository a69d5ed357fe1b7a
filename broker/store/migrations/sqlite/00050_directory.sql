-- +goose Up
-- When people work. A doc is JSON.
CREATE TABLE shifts (
  id       TEXT PRIMARY KEY,
  doc      TEXT NOT NULL,
  name     TEXT NOT NULL,
  revision BIGINT NOT NULL
);

ALTER TABLE badges ADD COLUMN source TEXT NOT NULL DEFAULT 'local';
ALTER TABLE badges ADD COLUMN lost_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE badges ADD COLUMN temporary INTEGER NOT NULL DEFAULT 0;
ALTER TABLE badges ADD COLUMN replaces TEXT NOT NULL DEFAULT '';

-- +goose Down
SELECT 1;
