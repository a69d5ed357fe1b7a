-- +goose Up
-- What people asked for at stations: that a badge that was refused as unknown be theirs.
CREATE TABLE badge_requests (
  id         TEXT PRIMARY KEY,
  station    TEXT NOT NULL,
  person     TEXT NOT NULL,
  shown_by   TEXT NOT NULL,  -- badge, pin
  technology TEXT NOT NULL,
  assurance  INTEGER NOT NULL,
  lookup     BYTEA NOT NULL,
  number     BYTEA NOT NULL,  -- sealed
  made_at    BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  state      TEXT NOT NULL,  -- open, approved, refused
  decided_by TEXT NOT NULL DEFAULT '',
  decided_at BIGINT NOT NULL DEFAULT 0,
  note       TEXT NOT NULL DEFAULT '',
  badge      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX badge_requests_open ON badge_requests (station, expires_at) WHERE state = 'open';
CREATE INDEX refusals_by_station ON refusals (station, at);

-- +goose Down
SELECT 1;
