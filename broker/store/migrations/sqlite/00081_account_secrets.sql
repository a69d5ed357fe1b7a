-- +goose Up
-- The secrets of shared accounts, sealed, by version. A holder is the station whose own the account is, or '' for an account that all stations share.
CREATE TABLE account_secrets (
  account     TEXT NOT NULL,
  holder      TEXT NOT NULL,
  version     BIGINT NOT NULL,
  state       TEXT NOT NULL,  -- pending, current, previous, retired
  kept        TEXT NOT NULL,  -- '' here, else the vault that has it
  sealed      BLOB,           -- NULL when it is kept elsewhere or was retired
  made_at     BIGINT NOT NULL,
  made_by     TEXT NOT NULL,
  since       BIGINT NOT NULL DEFAULT 0,  -- it is in force
  released_at BIGINT NOT NULL DEFAULT 0,  -- it was last handed out
  old_until   BIGINT NOT NULL DEFAULT 0,  -- a previous one may still open the account
  PRIMARY KEY (account, holder, version)
);
CREATE UNIQUE INDEX account_secrets_in_force ON account_secrets (account, holder, state) WHERE state <> 'retired';

-- Changes of those secrets. Whoever works on one has its fence; a later one's is greater.
CREATE TABLE rotations (
  id       TEXT PRIMARY KEY,
  account  TEXT NOT NULL,
  holder   TEXT NOT NULL,
  cause    TEXT NOT NULL,
  state    TEXT NOT NULL,     -- wanted, by-hand, pending, done, cancelled
  forced   INTEGER NOT NULL,  -- it does not wait until nobody holds the account
  version  BIGINT NOT NULL,   -- of the new secret; 0 before there is one
  fence    BIGINT NOT NULL DEFAULT 0,
  tries    BIGINT NOT NULL DEFAULT 0,
  said     TEXT NOT NULL DEFAULT '',
  began_at BIGINT NOT NULL,
  next_at  BIGINT NOT NULL,   -- nobody works on it before
  ended_at BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX rotations_open ON rotations (account, holder) WHERE ended_at = 0;
CREATE INDEX rotations_due ON rotations (next_at) WHERE ended_at = 0;

CREATE TABLE releases (
  id      TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  holder  TEXT NOT NULL,
  version BIGINT NOT NULL,
  session TEXT NOT NULL,
  station TEXT NOT NULL,
  person  TEXT NOT NULL,
  fence   BIGINT NOT NULL,
  at      BIGINT NOT NULL
);
CREATE INDEX releases_by_secret ON releases (account, holder, version);
CREATE INDEX releases_by_station ON releases (station, at);
CREATE INDEX releases_by_session ON releases (session);

-- +goose Down
SELECT 1;
