ALTER TABLE repositories ADD COLUMN hook_fingerprint TEXT NOT NULL DEFAULT '';
