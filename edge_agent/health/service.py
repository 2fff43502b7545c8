"""What systemd lets the agent's service write, which nobody sees who looks from outside it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edge_agent.health.probe import Check

SYSTEMCTL_S_MAX = 10.0
_SHOW = ("systemctl", "show", "ccs-edge.service", "--property=LoadState,ProtectSystem,StateDirectory,ReadWritePaths")
_STATE = Path("/var/lib")
_FLAGS = "-+"
"""What may stand before a path: not there is no error; below the unit's own root."""


def ask_systemd() -> str:
    """Return what systemd knows of the agent's service, a `name=value` a line; empty where there is no systemd."""
    try:
        done = subprocess.run(_SHOW, capture_output=True, text=True, check=False, timeout=SYSTEMCTL_S_MAX)  # noqa: S603 - a constant
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def sandbox(data_dir: Path, shown: str) -> list[Check]:
    """Look whether the service may write its data, given what systemd shows of it; nothing without a service."""
    values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if values.get("LoadState") != "loaded" or values.get("ProtectSystem") != "strict":
        return []
    state = [_STATE / name for name in values.get("StateDirectory", "").split()]
    opened = [Path(text.lstrip(_FLAGS)) for text in values.get("ReadWritePaths", "").split()]
    if any(data_dir.is_relative_to(folder.resolve()) for folder in (*state, *opened)):
        return [Check("service", "good", f"ccs-edge.service may write {data_dir}")]
    remedy = f"systemctl edit ccs-edge, and write there: [Service] and, on the next line, ReadWritePaths={data_dir}"
    return [Check("service", "bad", f"ccs-edge.service sees {data_dir} read-only: every card would be red", remedy)]
