CREATE TABLE users (
  id {{.ID}},
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  password TEXT NOT NULL,
  account TEXT NOT NULL,
  account_id TEXT NOT NULL,
  language TEXT NOT NULL,
  created_at {{.Time}} NOT NULL,
  updated_at {{.Time}} NOT NULL
);
--bun:split
CREATE UNIQUE INDEX users_account ON users (account) WHERE account <> '';
--bun:split
CREATE TABLE sessions (
  id {{.ID}},
  hash TEXT NOT NULL UNIQUE,
  user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  address TEXT NOT NULL,
  agent TEXT NOT NULL,
  created_at {{.Time}} NOT NULL,
  seen_at {{.Time}} NOT NULL,
  expires_at {{.Time}} NOT NULL
);
--bun:split
CREATE INDEX sessions_user ON sessions (user_id);
--bun:split
CREATE TABLE sign_in_links (
  hash TEXT PRIMARY KEY,
  user_id BIGINT REFERENCES users (id) ON DELETE CASCADE,
  expires_at {{.Time}} NOT NULL
);
--bun:split
CREATE TABLE api_tokens (
  id {{.ID}},
  hash TEXT NOT NULL UNIQUE,
  user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  created_at {{.Time}} NOT NULL,
  seen_at {{.Time}},
  expires_at {{.Time}}
);
--bun:split
CREATE INDEX api_tokens_user ON api_tokens (user_id);
--bun:split
CREATE TABLE audit_entries (
  id {{.ID}},
  at {{.Time}} NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  address TEXT NOT NULL
);
--bun:split
CREATE INDEX audit_entries_kind ON audit_entries (kind, id);
--bun:split
CREATE INDEX audit_entries_at ON audit_entries (at);
