"""What is said to a card once a reader has it: commands, sessions and the keys behind them. No reader library here."""
