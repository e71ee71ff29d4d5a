ALTER TABLE deployments ADD COLUMN entered {{.JSON}};
--bun:split
ALTER TABLE deployments ADD COLUMN fault {{.JSON}};
--bun:split
ALTER TABLE deployments ADD COLUMN served BIGINT;
--bun:split
ALTER TABLE deployments ADD COLUMN refused BIGINT;
--bun:split
ALTER TABLE deployments ADD COLUMN report_error TEXT NOT NULL DEFAULT '';
--bun:split
ALTER TABLE deployments ADD COLUMN report_sent TEXT NOT NULL DEFAULT '';
--bun:split
UPDATE deployments SET report_sent = reported WHERE phase NOT IN ('superseded', 'cancelled');
--bun:split
CREATE INDEX deployments_phase ON deployments (workload_id, phase, id);
--bun:split
CREATE INDEX deployments_ref ON deployments (workload_id, ref, id);
