-- When the auth service was last asked whether a mirrored user may still be logged in.
ALTER TABLE users ADD COLUMN standing_asked_at INTEGER;
