-- What proxies that share a database keep for certificates: files by their names, sealed, since private keys are among them.
CREATE TABLE certificate_files (
  id {{.ID}},
  name TEXT NOT NULL UNIQUE,
  sealed {{.Bytes}} NOT NULL,
  size BIGINT NOT NULL,
  updated_at {{.Time}} NOT NULL
);
--bun:split
CREATE TABLE certificate_locks (
  name TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  until {{.Time}} NOT NULL
);
