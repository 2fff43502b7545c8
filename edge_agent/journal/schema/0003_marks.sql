-- The journal, version 3: since when central holds what it acknowledged. A proof, a space, JSON: [[durable, clock reading], ...].
CREATE TABLE journal_marks (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    marks    TEXT NOT NULL
) STRICT;
