-- What lists of jobs are asked for by, besides the owner. Most jobs are enabled, and those cost a new job nothing here.
CREATE INDEX job_state ON job (state, id) WHERE deleted_at IS NULL AND state <> 'enabled';
CREATE INDEX job_owner_state ON job (owner_id, state, id) WHERE deleted_at IS NULL AND state <> 'enabled';

-- The tags of jobs that are not deleted, as the definitions in force have them.
CREATE TABLE job_tag (
  job_id BIGINT NOT NULL,
  tag    TEXT   NOT NULL CHECK (length(tag) BETWEEN 1 AND 63),
  PRIMARY KEY (tag, job_id)
);
-- By the text: the functions of JSON refuse what has \u0000 anywhere. Quotes within strings are escaped, and the tags stand before the target.
INSERT INTO job_tag (job_id, tag) SELECT job.id, trim(t.value, '"')
  FROM job, regexp_split_to_table(substring(job.definition FROM '"tags":\[([^]]*)\]'), ',') AS t (value)
  WHERE job.deleted_at IS NULL AND t.value <> '';
