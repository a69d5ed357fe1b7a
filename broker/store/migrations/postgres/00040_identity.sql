-- +goose Up
-- Nonces of recoveries that were used, kept until they would be too old anyway: a station may ask one broker and answer another.
CREATE TABLE spent_nonces (
  nonce BYTEA PRIMARY KEY,
  until BIGINT NOT NULL
);
CREATE INDEX spent_nonces_until ON spent_nonces (until);

-- Whoever asked with a join sequence that was not its turn: a copy of the station, or the station with an old disk.
CREATE TABLE station_copies (
  station       TEXT NOT NULL,
  request       BYTEA NOT NULL,  -- digest of what it asks, which a station keeps until it is answered
  join_sequence BIGINT NOT NULL,
  serial        TEXT NOT NULL DEFAULT '',  -- of the certificate it showed; empty when it had none that was good
  first_seen_at BIGINT NOT NULL,
  last_seen_at  BIGINT NOT NULL,
  given_up      INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (station, request)
);

-- What administrators decided about a station's identity, and what the station said it trusts.
CREATE TABLE station_standing (
  station         TEXT PRIMARY KEY,
  released        BIGINT NOT NULL DEFAULT 0,  -- join sequence of the copy that an administrator picked, until it has come; 0 for none
  abandoned_from  BIGINT NOT NULL DEFAULT 0,  -- join sequences after this one, up to abandoned_to, were given up with the other copy
  abandoned_to    BIGINT NOT NULL DEFAULT 0,
  approved_until  BIGINT NOT NULL DEFAULT 0,  -- may recover until then however long it was away
  approved_by     TEXT NOT NULL DEFAULT '',
  quarantined_at  BIGINT NOT NULL DEFAULT 0,
  trust           BIGINT NOT NULL DEFAULT 0   -- version of the trust statement that it has
);

-- +goose Down
SELECT 1;
