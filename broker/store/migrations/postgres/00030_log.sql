-- +goose Up
-- The Merkle log over all records: leaf = cursor - 1. Hashes of tiles are derived from records and can be made anew.
CREATE TABLE log_tiles (
  level  INTEGER NOT NULL,
  number BIGINT NOT NULL,
  hashes BYTEA NOT NULL,
  PRIMARY KEY (level, number)
);

-- Heads of the log. A row is written before its head is signed, and there is one for a size: nobody can sign two roots for it.
CREATE TABLE log_heads (
  size       BIGINT PRIMARY KEY,
  root       BYTEA NOT NULL,
  epoch      BIGINT NOT NULL,  -- of the leader that wrote it
  at         BIGINT NOT NULL,
  checkpoint BYTEA               -- signed; NULL until it was published
);

CREATE TABLE log_cosignatures (
  size    BIGINT NOT NULL,
  witness TEXT NOT NULL,       -- verifier key
  line    TEXT NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (size, witness)
);

-- +goose Down
SELECT 1;
