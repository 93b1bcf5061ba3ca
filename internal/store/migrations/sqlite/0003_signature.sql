-- Keys that requests are signed with, of a user or of a job.
CREATE TABLE signature_key (
  id         INTEGER PRIMARY KEY CHECK (id > 0), -- random
  user_id    INTEGER REFERENCES account (id) ON DELETE CASCADE,
  job_id     INTEGER REFERENCES job (id) ON DELETE CASCADE,
  sealed     BLOB    NOT NULL CHECK (length(sealed) > 0),
  created_at INTEGER NOT NULL,
  retires_at INTEGER, -- it signs no more from then on; NULL: it is the active one
  CHECK ((user_id IS NULL) <> (job_id IS NULL))
) STRICT;
CREATE INDEX signature_key_user ON signature_key (user_id);
CREATE INDEX signature_key_job ON signature_key (job_id);
CREATE UNIQUE INDEX signature_key_active ON signature_key (COALESCE(user_id, -job_id)) WHERE retires_at IS NULL;
