-- Whether a deployment takes along a scaling that was asked for, which is to follow when it does not go live.
ALTER TABLE deployments ADD COLUMN scales BOOLEAN NOT NULL DEFAULT FALSE;
