"""The demo's page to hold any worker's card to any reader by hand, served on loopback by the demo's own process."""
