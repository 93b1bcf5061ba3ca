-- From where a session was started, and when it was last used.
ALTER TABLE session ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN used_at INTEGER; -- within a minute; NULL: not since it was rotated

-- By what somebody asked: "session/ID", "key/ID", "password", "code", "command"; empty: the server itself.
ALTER TABLE audit ADD COLUMN means TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_time ON audit (at, id);
CREATE INDEX audit_actor ON audit (actor_id, at, id);
CREATE INDEX audit_object ON audit (object, at, id);

CREATE TABLE api_key (
  id         INTEGER PRIMARY KEY CHECK (id > 0), -- random
  user_id    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  name       TEXT    NOT NULL CHECK (name <> ''),
  scopes     TEXT    NOT NULL CHECK (scopes <> ''), -- separated by spaces
  hash       BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the key
  created_at INTEGER NOT NULL,
  expires_at INTEGER CHECK (expires_at > created_at), -- NULL: never
  used_at    INTEGER -- within a minute; NULL: never
) STRICT;
CREATE INDEX api_key_user ON api_key (user_id);

-- What users may do with others' jobs. It outlives the deletion of a job as its history does.
CREATE TABLE job_grant (
  job_id     INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  user_id    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  level      TEXT    NOT NULL CHECK (level = 'viewer' OR level = 'operator' OR level = 'editor'),
  granted_by INTEGER NOT NULL, -- a user; 0: the operator
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (job_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_grant_user ON job_grant (user_id, job_id);

-- Codes that set a user's password, one a user at most.
CREATE TABLE password_reset (
  user_id    INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  hash       BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the code
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL CHECK (expires_at > created_at)
) STRICT;
