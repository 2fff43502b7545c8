"""What the person at the gate sees and hears. A screen never holds up a tap and never answers for one."""
