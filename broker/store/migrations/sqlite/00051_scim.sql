-- +goose Up
-- Tokens of SCIM clients.
CREATE TABLE scim_tokens (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL,
  hash         BLOB NOT NULL UNIQUE,
  made_at      BIGINT NOT NULL,
  made_by      TEXT NOT NULL,
  expires_at   BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL DEFAULT 0,
  revoked_at   BIGINT NOT NULL DEFAULT 0
);

-- What SCIM clients have written. A user's ID is the person's; name is userName or a group's displayName in small letters.
CREATE TABLE scim_resources (
  kind       TEXT NOT NULL,  -- user, group
  id         TEXT NOT NULL,
  name       TEXT NOT NULL,
  doc        TEXT NOT NULL,  -- the attributes as JSON, without members
  version    BIGINT NOT NULL,
  made_at    BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (kind, id)
);
CREATE UNIQUE INDEX scim_resources_by_name ON scim_resources (kind, name);

CREATE TABLE scim_members (
  group_id TEXT NOT NULL,
  user_id  TEXT NOT NULL,
  PRIMARY KEY (group_id, user_id)
);
CREATE INDEX scim_members_by_user ON scim_members (user_id);

-- +goose Down
SELECT 1;
