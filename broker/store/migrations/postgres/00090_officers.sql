-- +goose Up
-- People who call the broker, each in one role.
CREATE TABLE officers (
  name          TEXT PRIMARY KEY,
  role          TEXT NOT NULL,
  source        TEXT NOT NULL,             -- local, invite, oidc
  subject       TEXT NOT NULL DEFAULT '',  -- of an ID token: issuer and sub
  life          BIGINT NOT NULL,           -- of each certificate, in microseconds
  added_at      BIGINT NOT NULL,
  added_by      TEXT NOT NULL,
  last_login_at BIGINT NOT NULL DEFAULT 0,
  revoked_at    BIGINT NOT NULL DEFAULT 0,
  reason        TEXT NOT NULL DEFAULT ''
);

CREATE TABLE invitations (
  hash       BYTEA PRIMARY KEY,
  officer    TEXT NOT NULL,
  made_at    BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at    BIGINT NOT NULL DEFAULT 0,
  request    BYTEA,  -- digest of the request that used it
  reply      BYTEA   -- served again to the same request
);
CREATE INDEX invitations_by_officer ON invitations (officer);

-- Who gave whom a badge or a PIN lately: one person alone must not give both.
CREATE TABLE credentials_given (
  person TEXT NOT NULL,
  what   TEXT NOT NULL,  -- badge, pin
  actor  TEXT NOT NULL,
  at     BIGINT NOT NULL,
  PRIMARY KEY (person, what, actor)
);

-- +goose Down
SELECT 1;
