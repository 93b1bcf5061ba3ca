-- From where a session was started, and when it was last used.
ALTER TABLE session ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN used_at INTEGER; -- within a minute; NULL: not since it was rotated

-- Codes that set a user's password, one a user at most.
CREATE TABLE password_reset (
  user_id    INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  hash       BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the code
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL CHECK (expires_at > created_at)
) STRICT;
