"""`python -m edge_agent`: the same as `ccs-edge`."""

from __future__ import annotations

from edge_agent.cli import app

app()
