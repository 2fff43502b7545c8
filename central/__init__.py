"""Central: one code base, started as web, worker, scheduler, or all in one process."""
