"""Drivers and worlds that speak the real protocols and fail in the real ways. Product code never imports them."""
