CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
--bun:split
CREATE TABLE forges (
  id {{.ID}},
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  url TEXT NOT NULL,
  api_url TEXT NOT NULL,
  networks {{.JSON}},
  app_id BIGINT NOT NULL,
  sealed {{.Bytes}},
  created_at {{.Time}} NOT NULL,
  updated_at {{.Time}} NOT NULL
);
--bun:split
CREATE TABLE installations (
  id {{.ID}},
  forge_id BIGINT NOT NULL REFERENCES forges (id) ON DELETE CASCADE,
  external_id BIGINT NOT NULL,
  account TEXT NOT NULL,
  suspended BOOLEAN NOT NULL,
  created_at {{.Time}} NOT NULL,
  updated_at {{.Time}} NOT NULL,
  UNIQUE (forge_id, external_id)
);
--bun:split
CREATE TABLE repositories (
  id {{.ID}},
  forge_id BIGINT NOT NULL REFERENCES forges (id) ON DELETE CASCADE,
  installation_id BIGINT REFERENCES installations (id) ON DELETE SET NULL,
  external_id BIGINT NOT NULL,
  full_name TEXT NOT NULL,
  default_branch TEXT NOT NULL,
  private BOOLEAN NOT NULL,
  removed BOOLEAN NOT NULL,
  created_at {{.Time}} NOT NULL,
  updated_at {{.Time}} NOT NULL,
  UNIQUE (forge_id, external_id)
);
--bun:split
CREATE TABLE workloads (
  id {{.ID}},
  name TEXT NOT NULL UNIQUE,
  repository_id BIGINT NOT NULL REFERENCES repositories (id),
  source TEXT NOT NULL,
  ref_pattern TEXT NOT NULL,
  paths {{.JSON}},
  host TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  sealed {{.Bytes}},
  deleted_at {{.Time}},
  created_at {{.Time}} NOT NULL,
  updated_at {{.Time}} NOT NULL
);
--bun:split
CREATE UNIQUE INDEX workloads_host ON workloads (host) WHERE host <> '' AND deleted_at IS NULL;
--bun:split
CREATE INDEX workloads_repository ON workloads (repository_id);
--bun:split
CREATE TABLE deliveries (
  id {{.ID}},
  forge_id BIGINT NOT NULL REFERENCES forges (id) ON DELETE CASCADE,
  external_id TEXT NOT NULL,
  event TEXT NOT NULL,
  repository_id BIGINT REFERENCES repositories (id) ON DELETE CASCADE,
  ref TEXT NOT NULL,
  before TEXT NOT NULL,
  after TEXT NOT NULL,
  accepted BOOLEAN NOT NULL,
  decision TEXT NOT NULL,
  received_at {{.Time}} NOT NULL,
  UNIQUE (forge_id, external_id)
);
--bun:split
CREATE INDEX deliveries_last ON deliveries (repository_id, ref, id) WHERE accepted;
--bun:split
CREATE INDEX deliveries_move ON deliveries (repository_id, ref, before, after);
--bun:split
CREATE TABLE deployments (
  id {{.ID}},
  workload_id BIGINT NOT NULL REFERENCES workloads (id) ON DELETE CASCADE,
  repository_id BIGINT NOT NULL REFERENCES repositories (id),
  delivery_id BIGINT REFERENCES deliveries (id) ON DELETE SET NULL,
  ref TEXT NOT NULL,
  commit_hash TEXT NOT NULL,
  message TEXT NOT NULL,
  author TEXT NOT NULL,
  phase TEXT NOT NULL,
  strategy TEXT NOT NULL,
  error TEXT NOT NULL,
  tail TEXT NOT NULL,
  superseded_by TEXT NOT NULL,
  sealed {{.Bytes}},
  lease_owner TEXT NOT NULL,
  lease_until {{.Time}},
  attempt INTEGER NOT NULL,
  status TEXT NOT NULL,
  reported TEXT NOT NULL,
  unreported BOOLEAN NOT NULL GENERATED ALWAYS AS (status <> reported) STORED, -- so that PostgreSQL knows how rare it is
  report_attempts INTEGER NOT NULL,
  report_after {{.Time}} NOT NULL,
  created_at {{.Time}} NOT NULL,
  started_at {{.Time}},
  finished_at {{.Time}},
  updated_at {{.Time}} NOT NULL
);
--bun:split
CREATE INDEX deployments_workload ON deployments (workload_id, id);
--bun:split
CREATE INDEX deployments_commit ON deployments (repository_id, commit_hash, id);
--bun:split
CREATE INDEX deployments_unfinished ON deployments (id)
  WHERE phase IN ('queued','building','stopping','starting','gating','routing','committing','draining','reaping','undoing');
--bun:split
CREATE UNIQUE INDEX deployments_queued ON deployments (workload_id) WHERE phase = 'queued';
--bun:split
CREATE UNIQUE INDEX deployments_in_progress ON deployments (workload_id)
  WHERE phase IN ('building','stopping','starting','gating','routing','committing','draining','reaping','undoing');
--bun:split
CREATE INDEX deployments_unreported ON deployments (repository_id, commit_hash, report_after) WHERE unreported;
--bun:split
CREATE TABLE runtime_states (
  workload_id BIGINT PRIMARY KEY REFERENCES workloads (id) ON DELETE CASCADE,
  deployment_id BIGINT NOT NULL,
  release_id TEXT NOT NULL,
  commit_hash TEXT NOT NULL,
  host TEXT NOT NULL,
  sealed {{.Bytes}} NOT NULL,
  updated_at {{.Time}} NOT NULL
);
--bun:split
CREATE TABLE log_lines (
  id {{.ID}},
  deployment_id BIGINT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
  phase TEXT NOT NULL,
  at {{.Time}} NOT NULL,
  text TEXT NOT NULL
);
--bun:split
CREATE INDEX log_lines_deployment ON log_lines (deployment_id, id);
