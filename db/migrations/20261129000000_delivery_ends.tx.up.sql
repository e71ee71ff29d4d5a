-- A push is compared with those of its ref that begin or end where it does: each end has an index, or all of the ref's would be
-- read.
DROP INDEX deliveries_move;
--bun:split
CREATE INDEX deliveries_before ON deliveries (repository_id, ref, before);
--bun:split
CREATE INDEX deliveries_after ON deliveries (repository_id, ref, after);
