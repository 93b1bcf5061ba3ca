-- Named values of users. The value is sealed.
CREATE TABLE secret (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  owner_id   INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  name       TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
  origins    TEXT    NOT NULL CHECK (origins <> ''), -- separated by spaces; what is sealed is bound to them
  version    INTEGER NOT NULL CHECK (version > 0),   -- of the value
  sealed     BLOB    NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL CHECK (updated_at >= created_at)
) STRICT;
CREATE UNIQUE INDEX secret_owner_name ON secret (owner_id, name);

-- Which jobs name which secrets, as the definitions in force do.
CREATE TABLE job_secret (
  job_id    INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  secret_id INTEGER NOT NULL REFERENCES secret (id) ON DELETE CASCADE,
  PRIMARY KEY (job_id, secret_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_secret_secret ON job_secret (secret_id, job_id);
