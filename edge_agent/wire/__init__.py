"""The wire contract, version 1: the only code that terminals and central share. Imports nothing of either."""
