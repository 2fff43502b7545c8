"""What is held of people and for how long, who looked at it, and what leaves on their asking."""
