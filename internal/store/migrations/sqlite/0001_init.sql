-- Times (*_at) are Unix microseconds, UTC. Flags are 0 or 1.
-- A list of more than two words after IN, even in a CHECK, costs SQLite a
-- table of its own at every insert: OR does not.
-- The words of the columns are those of the types in the root package.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  username      TEXT    NOT NULL CHECK (username <> '' AND instr(username, '@') = 0), -- so no username is an email
  email         TEXT    NOT NULL CHECK (instr(email, '@') > 1),
  password_hash TEXT    NOT NULL,
  is_superuser  INTEGER NOT NULL CHECK (is_superuser IN (0, 1)),
  bootstrap     INTEGER NOT NULL DEFAULT 0 CHECK (bootstrap IN (0, 1)),
  disabled_at   INTEGER,
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL CHECK (updated_at >= created_at)
) STRICT;
CREATE UNIQUE INDEX account_username ON account (lower(username));
CREATE UNIQUE INDEX account_email ON account (lower(email));
CREATE INDEX account_superuser ON account (id) WHERE is_superuser = 1 AND disabled_at IS NULL;

CREATE TABLE session (
  id         INTEGER PRIMARY KEY CHECK (id > 0), -- random
  user_id    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  generation INTEGER NOT NULL CHECK (generation > 0),
  created_at INTEGER NOT NULL,
  rotated_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL CHECK (expires_at > created_at)
) STRICT;
CREATE INDEX session_user ON session (user_id);
CREATE INDEX session_expiry ON session (expires_at);

CREATE TABLE audit (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  at         INTEGER NOT NULL,
  actor_id   INTEGER NOT NULL, -- 0: the operator's command line or the server itself
  actor      TEXT    NOT NULL,
  action     TEXT    NOT NULL CHECK (action <> ''),
  object     TEXT    NOT NULL,
  detail     TEXT    NOT NULL DEFAULT '{}',
  source     TEXT    NOT NULL DEFAULT '',
  request_id TEXT    NOT NULL DEFAULT ''
) STRICT;

-- What was answered to a write that had an Idempotency-Key.
CREATE TABLE idempotency (
  user_id    INTEGER NOT NULL,
  key        TEXT    NOT NULL CHECK (key <> ''),
  request    BLOB    NOT NULL, -- a keyed hash
  answer     BLOB    NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE job (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  owner_id       INTEGER NOT NULL CHECK (owner_id > 0),
  name           TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
  definition     TEXT    NOT NULL,
  state          TEXT    NOT NULL CHECK (state = 'enabled' OR state = 'paused' OR state = 'completed'),
  pause_reason   TEXT    NOT NULL DEFAULT '',
  paused_by      INTEGER NOT NULL DEFAULT 0, -- a user; 0: the server
  pause_until    INTEGER CHECK (pause_until IS NULL OR state = 'paused'),
  version        INTEGER NOT NULL CHECK (version > 0),
  egress_limited INTEGER NOT NULL DEFAULT 0 CHECK (egress_limited IN (0, 1)),
  created_at     INTEGER NOT NULL,
  updated_at     INTEGER NOT NULL,
  deleted_at     INTEGER
) STRICT;
CREATE UNIQUE INDEX job_owner_name ON job (owner_id, name) WHERE deleted_at IS NULL;
CREATE INDEX job_owner ON job (owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX job_pause ON job (pause_until) WHERE pause_until IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX job_deleted ON job (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE job_version (
  job_id       INTEGER NOT NULL,
  version      INTEGER NOT NULL CHECK (version > 0),
  definition   TEXT    NOT NULL,
  state        TEXT    NOT NULL CHECK (state = 'enabled' OR state = 'paused' OR state = 'completed'),
  effective_at INTEGER NOT NULL,
  PRIMARY KEY (job_id, version)
) STRICT, WITHOUT ROWID;

-- The hot row of a job. Only the owner of the job's shard updates it.
CREATE TABLE cursor (
  job_id           INTEGER PRIMARY KEY,
  owner_id         INTEGER NOT NULL,
  version          INTEGER NOT NULL,
  next_at          INTEGER, -- the next planned instant that has no durable record
  started          INTEGER NOT NULL DEFAULT 0, -- planned instants that started or were queued
  streak           INTEGER NOT NULL DEFAULT 0, -- failures since the last success, or since they paused the job
  last_due_at      INTEGER,
  last_n           INTEGER,
  last_state       TEXT,
  last_ready_at    INTEGER,
  last_started_at  INTEGER,
  last_finished_at INTEGER
) STRICT;
CREATE INDEX cursor_due ON cursor (next_at, job_id) WHERE next_at IS NOT NULL;

-- What is not final and must survive us.
CREATE TABLE open_run (
  due_at     INTEGER NOT NULL,
  job_id     INTEGER NOT NULL,
  n          INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  state      TEXT    NOT NULL CHECK (state = 'queued' OR state = 'running' OR state = 'cancelling'),
  trigger_by TEXT    NOT NULL,
  attempt    INTEGER NOT NULL CHECK (attempt >= 0), -- of the running one, or of the last one that ended
  ready_at   INTEGER NOT NULL, -- a queued run starts no earlier
  started_at INTEGER,          -- of the first attempt
  retry_of   TEXT,             -- id of the finished run that it repeats
  CHECK ((state = 'queued') OR (started_at IS NOT NULL AND attempt > 0)),
  PRIMARY KEY (due_at, job_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX open_run_job ON open_run (job_id);

-- History: append-only, final states only.
CREATE TABLE run (
  due_at      INTEGER NOT NULL,
  job_id      INTEGER NOT NULL,
  n           INTEGER NOT NULL,
  through_at  INTEGER, -- a range: the last instant of it
  version     INTEGER NOT NULL,
  state       TEXT    NOT NULL CHECK (state = 'succeeded' OR state = 'failed' OR state = 'cancelled' OR state = 'skipped' OR state = 'missed'),
  reason      TEXT    NOT NULL,
  trigger_by  TEXT    NOT NULL,
  attempts    INTEGER NOT NULL,
  ready_at    INTEGER, -- when it was to start, unless that is due_at
  started_at  INTEGER, -- of the first attempt
  finished_at INTEGER NOT NULL,
  status_code INTEGER NOT NULL,
  message     TEXT    NOT NULL,
  retry_of    TEXT, -- id of the finished run that it repeats
  CHECK ((state = 'succeeded') = (reason = '')),
  CHECK (through_at IS NULL OR (n = 0 AND through_at > due_at AND (state = 'skipped' OR state = 'missed'))),
  PRIMARY KEY (due_at, job_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_job ON run (job_id, due_at);

CREATE TABLE run_output (
  due_at INTEGER NOT NULL,
  job_id INTEGER NOT NULL,
  n      INTEGER NOT NULL,
  output BLOB    NOT NULL,
  PRIMARY KEY (due_at, job_id, n)
) STRICT, WITHOUT ROWID;

-- Attempts that another one follows; the last one is the run itself.
CREATE TABLE attempt (
  due_at      INTEGER NOT NULL,
  job_id      INTEGER NOT NULL,
  n           INTEGER NOT NULL,
  attempt     INTEGER NOT NULL CHECK (attempt > 0),
  version     INTEGER NOT NULL,
  reason      TEXT    NOT NULL CHECK (reason <> ''),
  status_code INTEGER NOT NULL,
  message     TEXT    NOT NULL,
  started_at  INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  PRIMARY KEY (due_at, job_id, n, attempt)
) STRICT, WITHOUT ROWID;

-- What the API asks of a shard's owner; a row leaves when it is applied.
CREATE TABLE change (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id  INTEGER NOT NULL,
  kind    TEXT    NOT NULL,
  version INTEGER NOT NULL, -- of the job, after the change
  at      INTEGER NOT NULL,
  payload TEXT    NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX change_job ON change (job_id);
