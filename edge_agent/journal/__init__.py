"""The terminal's memory: an append-only SQLite journal. What it has accepted is on stable storage."""
