-- Whether a node lacks a master key that something is sealed with: it fires only where no other one can. To servers of
-- before this step, which do not read it, such a node leaves.
ALTER TABLE node ADD COLUMN locked INTEGER NOT NULL DEFAULT 0 CHECK (locked IN (0, 1) AND locked <= leaving);
