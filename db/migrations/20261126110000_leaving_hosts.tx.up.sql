ALTER TABLE hosts ADD COLUMN leaving BOOLEAN NOT NULL DEFAULT FALSE;
--bun:split
INSERT INTO hosts (host, workload_id, leaving)
  SELECT hosts, workload_id, TRUE FROM runtime_states WHERE hosts <> '' AND hosts NOT LIKE '% %'
  ON CONFLICT (host) DO NOTHING;
--bun:split
ALTER TABLE runtime_states DROP COLUMN hosts;
