CREATE TABLE redeliveries (
  forge_id BIGINT NOT NULL REFERENCES forges (id) ON DELETE CASCADE,
  external_id TEXT NOT NULL,
  asked INTEGER NOT NULL,
  again_at {{.Time}} NOT NULL,
  PRIMARY KEY (forge_id, external_id)
);
--bun:split
CREATE TABLE delivery_looks (
  forge_id BIGINT PRIMARY KEY REFERENCES forges (id) ON DELETE CASCADE,
  until {{.Time}} NOT NULL
);
--bun:split
CREATE TABLE seen_heads (
  repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
  ref TEXT NOT NULL,
  commit_hash TEXT NOT NULL,
  seen_at {{.Time}} NOT NULL,
  PRIMARY KEY (repository_id, ref)
);
