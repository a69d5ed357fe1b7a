-- +goose Up
-- What stations have in common by their zone.
CREATE TABLE zones (
  id       TEXT PRIMARY KEY,
  doc      TEXT NOT NULL,
  revision BIGINT NOT NULL
);

-- When a person was last at a station, for the rules of PINs.
CREATE INDEX leases_of_person_at_station ON leases (person, station, opened_at);

-- Taps that the policy has decided, with all that it knew, so that they can be decided again under a draft.
CREATE TABLE taps (
  number    BIGINT PRIMARY KEY,
  session   TEXT NOT NULL UNIQUE,
  station   TEXT NOT NULL,
  person    TEXT NOT NULL,
  at        BIGINT NOT NULL,
  pin       INTEGER NOT NULL,  -- 1 when a good PIN was given with it
  assurance INTEGER NOT NULL,
  approved  INTEGER NOT NULL,
  facts     TEXT NOT NULL      -- JSON
);
CREATE INDEX taps_by_time ON taps (at);
CREATE INDEX taps_with_pin ON taps (person, station, at) WHERE pin = 1;

-- +goose Down
SELECT 1;
