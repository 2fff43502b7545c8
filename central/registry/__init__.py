"""Who and what there is: organizations, projects, sites, employers, workers, cards, terminals. Everything dated."""
