"""Who did what: append-only, hash-chained, written in the transaction of the act itself."""
