ALTER TABLE repositories ADD COLUMN hook_url TEXT NOT NULL DEFAULT '';
--bun:split
ALTER TABLE deployments ADD COLUMN cause TEXT NOT NULL DEFAULT 'push';
--bun:split
ALTER TABLE deployments ADD COLUMN rollback_to BIGINT;
--bun:split
ALTER TABLE deployments ADD COLUMN cancelled BOOLEAN NOT NULL DEFAULT FALSE;
--bun:split
ALTER TABLE deployments ADD COLUMN strategy_reason TEXT NOT NULL DEFAULT '';
--bun:split
ALTER TABLE workloads ADD COLUMN volumes_too BOOLEAN NOT NULL DEFAULT FALSE;
--bun:split
CREATE TABLE hosts (
  host TEXT PRIMARY KEY,
  workload_id BIGINT NOT NULL REFERENCES workloads (id) ON DELETE CASCADE
);
--bun:split
INSERT INTO hosts (host, workload_id) SELECT host, id FROM workloads WHERE host <> '' AND deleted_at IS NULL;
--bun:split
CREATE INDEX hosts_workload ON hosts (workload_id);
--bun:split
DROP INDEX workloads_host;
--bun:split
ALTER TABLE runtime_states RENAME COLUMN host TO hosts;
