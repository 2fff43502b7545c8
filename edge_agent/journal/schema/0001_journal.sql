-- The journal, version 1. Never edited after release: a change is the next numbered file.
CREATE TABLE journal_identity (
    only_row   INTEGER PRIMARY KEY CHECK (only_row = 1),
    journal_id TEXT NOT NULL,
    site       TEXT NOT NULL,
    terminal   TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- `bytes` is the record exactly as it is sent and archived; `hash` is SHA-256 of it and the next row's `prevhash`.
CREATE TABLE journal_event (
    seq   INTEGER PRIMARY KEY CHECK (seq >= 1),
    hash  BLOB NOT NULL CHECK (length(hash) = 32),
    bytes BLOB NOT NULL
) STRICT;

-- How far the database (not the broker) has acknowledged. `have` is JSON: [[first, last], ...] beyond `durable`.
CREATE TABLE journal_cursor (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    durable  INTEGER NOT NULL CHECK (durable >= 0),
    hash     TEXT NOT NULL,
    epoch    INTEGER NOT NULL CHECK (epoch >= 0),
    have     TEXT NOT NULL
) STRICT;

-- Rows found damaged, so that a loss is announced once and not at every start.
CREATE TABLE journal_damage (
    seq INTEGER PRIMARY KEY
) STRICT;

-- Written whenever the write-ahead log must be laid out at full size; says nothing.
CREATE TABLE journal_filler (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    filler   BLOB NOT NULL
) STRICT;

CREATE TRIGGER journal_event_is_never_edited BEFORE UPDATE ON journal_event
BEGIN
    SELECT raise(ABORT, 'a journal row is never edited');
END;

-- The promise kept by the file itself, whatever the program above it does (DUR-03).
CREATE TRIGGER journal_event_is_kept_until_acknowledged BEFORE DELETE ON journal_event
WHEN old.seq > (SELECT durable FROM journal_cursor)
BEGIN
    SELECT raise(ABORT, 'the database has not acknowledged this journal row');
END;
