"""Who is asking, and whether they may: accounts, sessions, API tokens, and the one place that says yes or no."""
