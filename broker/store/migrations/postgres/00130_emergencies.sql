-- +goose Up
CREATE TABLE emergencies (
  session    TEXT PRIMARY KEY,
  chain      TEXT NOT NULL,
  station    TEXT NOT NULL,
  opened_at  BIGINT NOT NULL,  -- by the station's clock, never later than when it was heard of
  reason     TEXT NOT NULL,    -- the word that was said with it
  missing    BIGINT NOT NULL,  -- people who still have to answer for it
  alarmed_at BIGINT NOT NULL   -- 0 before the alarm that they did not in time
);
CREATE INDEX emergencies_missing ON emergencies (opened_at) WHERE missing > 0;
CREATE INDEX emergencies_station ON emergencies (station, opened_at);
CREATE TABLE emergency_claims (
  session TEXT NOT NULL,
  person  TEXT NOT NULL,
  at      BIGINT NOT NULL,
  seq     BIGINT NOT NULL,
  PRIMARY KEY (session, person)
);

-- +goose Down
DROP TABLE emergency_claims;
DROP TABLE emergencies;
