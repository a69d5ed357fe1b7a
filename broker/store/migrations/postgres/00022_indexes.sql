-- +goose Up
-- What auditors ask of people, and what is asked of leases in force, of which there are few among very many that have ended.
CREATE INDEX records_by_person ON records (person, cursor) WHERE person <> '';
CREATE INDEX leases_expiring ON leases (expires_at) WHERE ended_at = 0;
CREATE INDEX leases_open ON leases (id) WHERE ended_at = 0;

-- +goose Down
SELECT 1;
