"""Taps to presence: ingest, the fold, and the headcount that states its own doubt."""
