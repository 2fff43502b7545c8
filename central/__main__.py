"""`python -m central`: the same as `ccs-central`."""

from __future__ import annotations

from central.cli import app

app(prog_name="ccs-central")
