-- The journal, version 2: rows that no chain covers carry a hash of their own. Empty: written by schema 1.
ALTER TABLE journal_identity ADD COLUMN proof TEXT NOT NULL DEFAULT '';
ALTER TABLE journal_cursor ADD COLUMN proof TEXT NOT NULL DEFAULT '';
