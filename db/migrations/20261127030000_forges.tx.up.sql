ALTER TABLE forges ADD COLUMN app_url TEXT NOT NULL DEFAULT '';
--bun:split
ALTER TABLE forges ADD COLUMN app_slug TEXT NOT NULL DEFAULT '';
--bun:split
ALTER TABLE forges ADD COLUMN owner TEXT NOT NULL DEFAULT '';
--bun:split
ALTER TABLE forges ADD COLUMN owner_is_organization BOOLEAN NOT NULL DEFAULT FALSE;
--bun:split
ALTER TABLE forges ADD COLUMN requested BOOLEAN NOT NULL DEFAULT FALSE;
--bun:split
ALTER TABLE forges ADD COLUMN token_until {{.Time}};
--bun:split
ALTER TABLE forges ADD COLUMN synced_at {{.Time}};
--bun:split
ALTER TABLE forges ADD COLUMN fault TEXT NOT NULL DEFAULT '';
--bun:split
CREATE TABLE app_requests (
  id {{.ID}},
  name TEXT NOT NULL UNIQUE,
  url TEXT NOT NULL,
  networks {{.JSON}},
  app_name TEXT NOT NULL,
  organization TEXT NOT NULL,
  webhook BOOLEAN NOT NULL,
  user_id BIGINT REFERENCES users (id) ON DELETE SET NULL,
  hash TEXT NOT NULL UNIQUE,
  sealed {{.Bytes}},
  returned BOOLEAN NOT NULL,
  expires_at {{.Time}} NOT NULL,
  created_at {{.Time}} NOT NULL
);
--bun:split
CREATE INDEX deliveries_forge ON deliveries (forge_id, id);
--bun:split
CREATE INDEX deliveries_repository ON deliveries (repository_id, id);
--bun:split
CREATE INDEX deployments_delivery ON deployments (delivery_id) WHERE delivery_id IS NOT NULL;
