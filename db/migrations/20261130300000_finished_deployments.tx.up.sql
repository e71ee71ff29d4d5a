-- What has ended is counted by phase. The index has those alone, so that no step of a deployment on its way pays for it.
CREATE INDEX deployments_finished ON deployments (phase)
  WHERE phase IN ('live','retired','failed','superseded','skipped','cancelled');
