"""Change the core modules in every small way and count what the fast unit tests notice: `make mutmut`.

    python scripts/mutation.py                                    every module of [tool.mutmut] in pyproject.toml
    python scripts/mutation.py 'central.attendance.presence*'     some of them; a run that was stopped goes on
    python scripts/mutation.py --sample 50 --seed 1               50 mutants of every module, drawn by the seed

A larger sample of the same seed holds the smaller one, and what of it has a verdict is not run again. Works in a copy
of the tree (`.mutation/`), where mutmut keeps what it found: what has not changed is not run again. Prints a table a
module and the names of the survivors; `cd .mutation && mutmut show NAME` shows one as a difference.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / ".mutation"
VERDICTS = {0: "survived", 1: "killed", 3: "killed", 5: "untested", 33: "untested", None: "not run"}
"""mutmut's exit codes; every other one is a test run that did not end: killed for taking too long, or crashed."""
COLUMNS = ("killed", "stopped", "survived", "untested", "not run")
CHILDREN = 2
SMALLEST = "edge_agent.wire.topics*"
"""Run first when the copy is new: whatever is run, mutmut makes the mutants of every module."""


def refresh() -> None:
    """Bring the copy up to date; unchanged files keep their times, so that mutmut leaves their results alone."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, COPY / name
        if not source.is_file():
            continue
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    # Python asks a folder on its path once: it must be there before the mutants are, or the installed tree is tested.
    (COPY / "mutants").mkdir(exist_ok=True)


def run(patterns: list[str]) -> int:
    """Run mutmut in the copy; its own packages win over the installed ones."""
    env = os.environ | {"PYTHONPATH": str(COPY / "mutants")}
    mutmut = Path(sys.executable).with_name("mutmut")
    command = [str(mutmut), "run", "--max-children", str(CHILDREN), *patterns]
    return subprocess.run(command, cwd=COPY, env=env, check=False).returncode


def results() -> dict[str, dict[str, str]]:
    """Read the verdict on each mutant, by module."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted((COPY / "mutants").rglob("*.meta")):
        codes = json.loads(file.read_text()).get("exit_code_by_key", {})
        if codes:
            module = file.relative_to(COPY / "mutants").as_posix().removesuffix(".meta")
            found[module] = {name: VERDICTS.get(code, "stopped") for name, code in codes.items()}
    return found


def sample(found: dict[str, dict[str, str]], *, size: int, seed: int, patterns: list[str]) -> list[str]:
    """Draw `size` mutants of each module, or all of a smaller one; return those of them without a verdict."""
    drawn: list[str] = []
    for module, verdicts in found.items():
        names = sorted(name for name in verdicts if not patterns or any(fnmatch.fnmatch(name, one) for one in patterns))
        random.Random(f"{seed} {module}").shuffle(names)
        drawn += [name for name in names[:size] if verdicts[name] == "not run"]
    return drawn


def table(found: dict[str, dict[str, str]]) -> list[str]:
    """Lay the counts out as a table; the rate leaves out what was not run."""
    lines = [f"| module | {' | '.join(COLUMNS)} | noticed |", "|---|" + "---:|" * (len(COLUMNS) + 1)]
    whole: Counter[str] = Counter()
    weighted, mutants = 0.0, 0
    for module, verdicts in found.items():
        counts = Counter(verdicts.values())
        if counts.keys() == {"not run"}:
            continue
        whole += counts
        weighted += len(verdicts) * _noticed(counts)
        mutants += len(verdicts)
        lines.append(_row(f"`{module}`", counts))
    if mutants:
        lines += [
            _row("all", whole),
            f"\nEach module weighted by its {mutants} mutants: {weighted / mutants:.0%} noticed.",
        ]
    return lines


def _noticed(counts: Counter[str]) -> float:
    return (counts["killed"] + counts["stopped"]) / (counts.total() - counts["not run"])


def _row(name: str, counts: Counter[str]) -> str:
    return f"| {name} | {' | '.join(str(counts[column]) for column in COLUMNS)} | {100 * _noticed(counts):.0f} % |"


def main() -> int:
    """Run, then print the table and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", help="names of mutants, * for any part")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="draw N mutants of every module")
    parser.add_argument("--seed", type=int, default=1, help="what the sample is drawn by")
    wanted = parser.parse_args()
    refresh()
    code = 0
    patterns = list(wanted.patterns)
    if wanted.sample:
        code = 0 if results() else run([SMALLEST])
        patterns = sample(results(), size=wanted.sample, seed=wanted.seed, patterns=patterns)
    if patterns or not wanted.sample:
        code = run(patterns) or code
    found = results()
    print("\n".join(table(found)))
    survivors = [name for verdicts in found.values() for name, verdict in verdicts.items() if verdict == "survived"]
    print(f"\n{len(survivors)} survivors" + "".join(f"\n  {name}" for name in survivors))
    return code


if __name__ == "__main__":
    sys.exit(main())
