-- Keys that requests are signed with, of a user or of a job.
CREATE TABLE signature_key (
  id         BIGINT PRIMARY KEY CHECK (id > 0), -- random
  user_id    BIGINT REFERENCES account (id) ON DELETE CASCADE,
  job_id     BIGINT REFERENCES job (id) ON DELETE CASCADE,
  sealed     BYTEA  NOT NULL CHECK (length(sealed) > 0),
  created_at BIGINT NOT NULL,
  retires_at BIGINT, -- it signs no more from then on; NULL: it is the active one
  CHECK ((user_id IS NULL) <> (job_id IS NULL))
);
CREATE INDEX signature_key_user ON signature_key (user_id);
CREATE INDEX signature_key_job ON signature_key (job_id);
CREATE UNIQUE INDEX signature_key_active ON signature_key (COALESCE(user_id, -job_id)) WHERE retires_at IS NULL;
