-- +goose Up
-- Which leases ended, in the order in which that became durable: every broker on the store tells its stations.
ALTER TABLE leases ADD COLUMN ended_number BIGINT NOT NULL DEFAULT 0;
CREATE INDEX leases_ended ON leases (ended_number) WHERE ended_number > 0;

-- +goose Down
SELECT 1;
