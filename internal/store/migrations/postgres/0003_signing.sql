-- The servers that live, each by the secrets that it has: so that none signs with one that another does not know.
-- There is no such table on SQLite, where one server has it all.
CREATE TABLE signing_holder (
  id       TEXT COLLATE "C" PRIMARY KEY CHECK (id <> ''), -- random, one a process
  active   TEXT NOT NULL CHECK (active <> ''), -- hashes
  retiring TEXT NOT NULL, -- '': none
  seen_at  BIGINT NOT NULL -- by the database's clock
);
