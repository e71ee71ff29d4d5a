-- What runs on this database, and what is fed from the same routes. A row of processes is renewed all the time.
CREATE TABLE processes (
  id TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  engine TEXT NOT NULL,
  runtimes {{.JSON}} NOT NULL,
  serving BOOLEAN NOT NULL,
  applied BIGINT NOT NULL,
  seen_at {{.Time}} NOT NULL
);
--bun:split
CREATE TABLE route_versions (
  id INTEGER PRIMARY KEY,
  version BIGINT NOT NULL
);
--bun:split
CREATE TABLE route_targets (
  host TEXT PRIMARY KEY,
  sealed {{.Bytes}},
  held BOOLEAN NOT NULL,
  deleted BOOLEAN NOT NULL,
  version BIGINT NOT NULL
);
--bun:split
CREATE UNIQUE INDEX route_targets_version ON route_targets (version);
--bun:split
CREATE TABLE drains (
  id TEXT PRIMARY KEY,
  process_id TEXT NOT NULL,
  host TEXT NOT NULL,
  upstream TEXT NOT NULL,
  cut BOOLEAN NOT NULL
);
--bun:split
CREATE TABLE drain_ends (
  drain_id TEXT NOT NULL REFERENCES drains (id) ON DELETE CASCADE,
  process_id TEXT NOT NULL,
  PRIMARY KEY (drain_id, process_id)
);
