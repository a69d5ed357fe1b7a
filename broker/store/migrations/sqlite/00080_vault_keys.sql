-- +goose Up
-- The vault's root key, wrapped under each master key that may open it: one, or two while the master key is being replaced.
CREATE TABLE vault_keys (
  master  TEXT PRIMARY KEY,  -- name of the master key, which tells nothing of it
  wrapped BLOB NOT NULL,
  made_at BIGINT NOT NULL
);

-- +goose Down
SELECT 1;
