-- +goose Up
-- Times are microseconds since 1970 in UTC, 0 for none. A doc is JSON.

CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);

-- Private keys, sealed under the master key.
CREATE TABLE secrets (
  name   TEXT PRIMARY KEY,
  sealed BYTEA NOT NULL,
  put_at BIGINT NOT NULL
);

CREATE TABLE stations (
  id             TEXT PRIMARY KEY,
  doc            TEXT NOT NULL,
  revision       BIGINT NOT NULL,
  state          INTEGER NOT NULL,
  state_reason   TEXT NOT NULL DEFAULT '',
  identity_key   BYTEA,
  chain          TEXT NOT NULL DEFAULT '',
  join_sequence  BIGINT NOT NULL DEFAULT 0,
  last_request   BYTEA,  -- digest of the request that last_reply answers
  last_reply     BYTEA,  -- sealed
  enrolled_at    BIGINT NOT NULL DEFAULT 0,
  last_seen_at   BIGINT NOT NULL DEFAULT 0,
  certificate_expires_at BIGINT NOT NULL DEFAULT 0,
  bundle         BIGINT NOT NULL DEFAULT 0,
  build          TEXT NOT NULL DEFAULT '',
  hints          TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE tokens (
  id         TEXT PRIMARY KEY,
  hash       BYTEA NOT NULL UNIQUE,
  station    TEXT NOT NULL,
  made_at    BIGINT NOT NULL,
  made_by    TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at    BIGINT NOT NULL DEFAULT 0,
  request    BYTEA,  -- digest of the request that used it
  reply      BYTEA,  -- sealed; served again to the same request
  revoked_at BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE certificates (
  serial        TEXT PRIMARY KEY,
  role          TEXT NOT NULL,
  subject       TEXT NOT NULL,
  join_sequence BIGINT NOT NULL DEFAULT 0,
  not_before    BIGINT NOT NULL,
  not_after     BIGINT NOT NULL,
  revoked_at    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX certificates_by_subject ON certificates (role, subject, join_sequence);

CREATE TABLE people (
  id       TEXT PRIMARY KEY,
  doc      TEXT NOT NULL,
  name     TEXT NOT NULL,
  revision BIGINT NOT NULL
);

CREATE TABLE pins (
  person   TEXT PRIMARY KEY,
  verifier TEXT NOT NULL,
  set_at   BIGINT NOT NULL
);

CREATE TABLE pin_tries (
  person       TEXT NOT NULL,
  station      TEXT NOT NULL,
  wrong        INTEGER NOT NULL,
  locked_until BIGINT NOT NULL,
  PRIMARY KEY (person, station)
);

CREATE TABLE badges (
  id           TEXT PRIMARY KEY,
  person       TEXT NOT NULL,
  lookup       BYTEA NOT NULL,  -- HMAC-SHA256 of the number
  number       BYTEA NOT NULL,  -- sealed
  label        TEXT NOT NULL,
  technology   TEXT NOT NULL,
  assurance    INTEGER NOT NULL,
  revoked      INTEGER NOT NULL DEFAULT 0,
  reason       TEXT NOT NULL DEFAULT '',
  not_after    BIGINT NOT NULL DEFAULT 0,
  assigned_at  BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX badges_in_force ON badges (lookup) WHERE revoked = 0;
CREATE INDEX badges_by_lookup ON badges (lookup, assigned_at);
CREATE INDEX badges_by_person ON badges (person);

CREATE TABLE accounts (
  id       TEXT PRIMARY KEY,
  doc      TEXT NOT NULL,
  revision BIGINT NOT NULL
);

CREATE TABLE policies (
  number  BIGINT PRIMARY KEY,  -- the greatest is in force
  version TEXT NOT NULL,
  text    TEXT NOT NULL,
  since   BIGINT NOT NULL,
  author  TEXT NOT NULL,
  comment TEXT NOT NULL
);
CREATE INDEX policies_by_version ON policies (version, number);

CREATE TABLE fences (
  scope TEXT PRIMARY KEY,
  last  BIGINT NOT NULL
);

CREATE TABLE leases (
  id         TEXT PRIMARY KEY,
  scope      TEXT NOT NULL,
  account    TEXT NOT NULL,
  fence      BIGINT NOT NULL,
  session    TEXT NOT NULL UNIQUE,
  station    TEXT NOT NULL,
  person     TEXT NOT NULL,
  opened_at  BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  ended_at   BIGINT NOT NULL DEFAULT 0,
  cause      TEXT NOT NULL DEFAULT '',
  UNIQUE (scope, fence)
);
CREATE INDEX leases_in_force ON leases (scope) WHERE ended_at = 0;
CREATE INDEX leases_by_station ON leases (station) WHERE ended_at = 0;
CREATE INDEX leases_by_person ON leases (person) WHERE ended_at = 0;

-- Answers to OpenSession, served again to the same request.
CREATE TABLE answers (
  session TEXT PRIMARY KEY,
  station TEXT NOT NULL,
  request BYTEA NOT NULL,
  reply   BYTEA NOT NULL,
  at      BIGINT NOT NULL
);
CREATE INDEX answers_by_time ON answers (at);

CREATE TABLE refusals (
  code       TEXT PRIMARY KEY,
  station    TEXT NOT NULL,
  at         BIGINT NOT NULL,
  person     TEXT NOT NULL,
  technology TEXT NOT NULL,
  assurance  INTEGER NOT NULL,
  decision   TEXT NOT NULL,
  lookup     BYTEA NOT NULL,
  number     BYTEA NOT NULL  -- sealed
);
CREATE INDEX refusals_by_time ON refusals (at);

CREATE TABLE sessions (
  session      TEXT PRIMARY KEY,
  kind         TEXT NOT NULL,  -- named, emergency, unattributed
  station      TEXT NOT NULL,
  chain        TEXT NOT NULL,
  person       TEXT NOT NULL,
  account      TEXT NOT NULL,
  opened_at    BIGINT NOT NULL,
  opened_error BIGINT NOT NULL,
  closed_at    BIGINT NOT NULL DEFAULT 0,
  closed_error BIGINT NOT NULL DEFAULT 0,
  reason       TEXT NOT NULL DEFAULT '',
  decided_by   TEXT NOT NULL,
  mode         TEXT NOT NULL,
  assurance    INTEGER NOT NULL,
  opened_seq   BIGINT NOT NULL,
  closed_seq   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX sessions_by_station ON sessions (station, opened_at);
CREATE INDEX sessions_by_person ON sessions (person, opened_at);
CREATE INDEX sessions_by_time ON sessions (opened_at);
CREATE INDEX sessions_open ON sessions (chain) WHERE closed_at = 0;

CREATE TABLE chains (
  chain       TEXT PRIMARY KEY,
  station     TEXT NOT NULL,
  statement   BYTEA NOT NULL,
  head        TEXT NOT NULL,
  seq         BIGINT NOT NULL,
  enrolled_at BIGINT NOT NULL,
  last_at     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX chains_by_station ON chains (station, enrolled_at);

CREATE TABLE epochs (
  chain TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  key   BYTEA NOT NULL,
  PRIMARY KEY (chain, epoch)
);

CREATE TABLE records (
  cursor      BIGINT PRIMARY KEY,
  station     TEXT NOT NULL,
  chain       TEXT NOT NULL,
  seq         BIGINT NOT NULL,
  epoch       BIGINT NOT NULL,
  envelope    BYTEA NOT NULL,
  received_at BIGINT NOT NULL,
  type        TEXT NOT NULL,
  wall        BIGINT NOT NULL,
  session     TEXT NOT NULL,
  person      TEXT NOT NULL,
  verified    INTEGER NOT NULL,  -- 0 not yet, 1 good, 2 bad
  fault       TEXT NOT NULL DEFAULT '',
  UNIQUE (chain, seq)
);
CREATE INDEX records_by_station ON records (station, cursor);
CREATE INDEX records_by_session ON records (session) WHERE session <> '';
CREATE INDEX records_unverified ON records (cursor) WHERE verified = 0;

-- Batches that were refused, kept as evidence.
CREATE TABLE rejects (
  id          TEXT PRIMARY KEY,
  station     TEXT NOT NULL,
  chain       TEXT NOT NULL,
  first_seq   BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  fault       TEXT NOT NULL,
  detail      TEXT NOT NULL,
  batch       BYTEA NOT NULL
);
CREATE INDEX rejects_by_station ON rejects (station, received_at);

CREATE TABLE alarms (
  id        TEXT PRIMARY KEY,
  kind      TEXT NOT NULL,
  station   TEXT NOT NULL,
  at        BIGINT NOT NULL,
  what      TEXT NOT NULL,
  hint      TEXT NOT NULL,
  times     BIGINT NOT NULL DEFAULT 1,
  closed_at BIGINT NOT NULL DEFAULT 0,
  closed_by TEXT NOT NULL DEFAULT '',
  note      TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX alarms_open ON alarms (kind, station) WHERE closed_at = 0;
CREATE INDEX alarms_by_time ON alarms (at);

CREATE TABLE bundles (
  station    TEXT PRIMARY KEY,
  sequence   BIGINT NOT NULL,
  generation BIGINT NOT NULL,  -- of the directory it was made from
  digest     BYTEA NOT NULL,    -- of what it grants, without number and times
  envelope   BYTEA NOT NULL,
  issued_at  BIGINT NOT NULL
);

-- +goose Down
SELECT 1;
