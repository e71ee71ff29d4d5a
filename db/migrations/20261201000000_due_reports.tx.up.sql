-- What is to be told is taken in the order in which it is due, without a look at all that waits.
CREATE INDEX deployments_due ON deployments (report_after) WHERE unreported;
