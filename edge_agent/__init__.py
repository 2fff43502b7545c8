"""The edge agent: reads cards, decides, stores, answers the worker, forwards. Needs nothing but its own disk."""
