-- +goose Up
-- How far the synchronisation with an outside directory is. The doc is JSON.
CREATE TABLE syncs (
  source   TEXT PRIMARY KEY,
  revision BIGINT NOT NULL,  -- rises with each change: of two that synchronise at once the second fails
  cookie   BLOB,             -- where the server's changes go on
  doc      TEXT NOT NULL
);

-- Which entry of the outside directory is which person. An entry keeps its key when it is renamed or moved.
CREATE TABLE synced (
  source    TEXT NOT NULL,
  key       TEXT NOT NULL,
  person    TEXT NOT NULL,
  name      TEXT NOT NULL,             -- distinguished name
  roles     TEXT NOT NULL,             -- those from groups, a JSON array
  lapses_at BIGINT NOT NULL DEFAULT 0, -- when the account expires
  again     INTEGER NOT NULL DEFAULT 0, -- to be read again with the next change
  PRIMARY KEY (source, key)
);

-- +goose Down
SELECT 1;
