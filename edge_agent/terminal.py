"""The process that is the terminal: `ccs-edge run` becomes this one, so that the command line's libraries stay behind.

Usage: `python -m edge_agent.terminal CONFIG [--text]`. The exit codes are those of `ccs-edge`.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

from edge_agent.cards.key_file import KeyFileUnusable
from edge_agent.config import EXIT_CONFIG, EXIT_FAILED, BadConfig, load_config
from edge_agent.logs import configure_logs
from edge_agent.main import build
from edge_agent.owner import refuse_as_root
from edge_agent.readers.base import ReaderUnusable

TEXT = "--text"
TURN_S_MAX = 0.000_5
"""How long one thread may keep the interpreter while another waits. Python's own 5 ms would be a worker waiting."""


def run(config: Path, *, text: bool) -> int:
    """Run the terminal until SIGTERM or Ctrl-C; return the exit code."""
    try:
        loaded = load_config(config)
        configure_logs(level=loaded.settings.log.level, form=loaded.settings.log.format)
        refuse_as_root(loaded.data_dir)
        agent = build(loaded, console=sys.stdout if text else None)
    except (BadConfig, ReaderUnusable, KeyFileUnusable) as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_CONFIG
    except OSError as exc:
        sys.stderr.write(f"the terminal cannot start: {exc}\n")
        return EXIT_FAILED
    _give_back_memory()
    sys.setswitchinterval(TURN_S_MAX)
    agent.supervisor.stop_on_signals()
    return 0 if agent.run() else EXIT_FAILED


def _give_back_memory() -> None:
    """Return what start-up needed and running does not: a terminal has 60 MB. Only glibc knows how; others skip it."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), text=TEXT in sys.argv[2:]))
