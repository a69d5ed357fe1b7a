-- +goose Up
-- Where the records of a time begin and end among all that were ever received: asked of this index alone.
CREATE INDEX records_by_time ON records (wall, cursor);

-- +goose Down
DROP INDEX records_by_time;
