"""The whole system in virtual time: one thread, one seed, the product's own decisions."""
