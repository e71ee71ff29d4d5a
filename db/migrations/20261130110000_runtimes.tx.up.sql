-- What a workload runs on, and what serves of it: a process claims deployments of the runtimes that it offers.
ALTER TABLE workloads ADD COLUMN runtime TEXT NOT NULL DEFAULT 'docker';
--bun:split
ALTER TABLE runtime_states ADD COLUMN runtime TEXT NOT NULL DEFAULT 'docker';
