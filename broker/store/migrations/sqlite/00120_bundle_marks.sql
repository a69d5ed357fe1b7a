-- The envelope goes last: SQLite reads past it, page by page, to whatever stands behind it, and every beat of a station asks for the mark alone.

-- +goose Up
CREATE TABLE bundles_in_order (
  station    TEXT PRIMARY KEY,
  sequence   BIGINT NOT NULL,
  generation BIGINT NOT NULL,  -- of the directory it was made from or compared to
  digest     BLOB NOT NULL,    -- of what it grants, without number and times
  issued_at  BIGINT NOT NULL,
  envelope   BLOB NOT NULL
);
INSERT INTO bundles_in_order (station, sequence, generation, digest, issued_at, envelope)
  SELECT station, sequence, generation, digest, issued_at, envelope FROM bundles;
DROP TABLE bundles;
ALTER TABLE bundles_in_order RENAME TO bundles;

-- +goose Down
SELECT 1;
