"""The worker's own view: their taps and days, receipts that anyone can check, and objections to what is recorded."""
