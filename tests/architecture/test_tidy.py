"""The house rules as a program: sizes, banned calls, names. A line's way out is `# tidy: <rule> <reason>`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("edge_agent", "central", "simulators")
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
BANNED_NAMES = {"utils", "helpers", "manager", "common", "misc"}

CLOCKS = {"edge_agent/clock.py", "central/kit/clock.py"}
BROAD_EXCEPT = {"edge_agent/supervisor.py", "central/kit/problems.py"}
COMMITS = {"central/kit/db.py", "central/kit/migrate.py", "central/migrations/env.py"}


def product_files(*folders: str) -> list[Path]:
    files = [path for folder in folders or PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in files if "versions" not in path.parts]


def excused(lines: list[str], number: int, rule: str) -> bool:
    return re.search(rf"# tidy: {rule} \S+", lines[number - 1]) is not None


def offences(rule: str, allowed: set[str], pattern: str, *folders: str) -> list[str]:
    found = []
    for path in product_files(*folders):
        name = path.relative_to(ROOT).as_posix()
        if name in allowed:
            continue
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            code = line.split("  #")[0]
            if re.search(pattern, code) and not excused(lines, number, rule):
                found.append(f"{name}:{number}: {line.strip()}")
    return found


def test_no_function_is_longer_than_a_screen() -> None:
    long = []
    for path in product_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines")
    assert not long, "\n".join(long)


def test_no_module_is_longer_than_a_sitting() -> None:
    long = [
        f"{path.relative_to(ROOT)} has {count} lines"
        for path in product_files()
        if (count := len(path.read_text().splitlines())) > MODULE_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_modules_are_nouns_of_the_business() -> None:
    named = [path for path in product_files() if BANNED_NAMES & set(path.with_suffix("").relative_to(ROOT).parts)]
    assert not named


@pytest.mark.parametrize(
    ("rule", "allowed", "pattern", "folders"),
    [
        ("wall-clock", CLOCKS, r"datetime\.now\(|\btime\.time(_ns)?\(|\butcnow\(", ("edge_agent", "central")),
        ("random", set(), r"\brandom\.|import random", ("edge_agent", "central")),
        ("commit", COMMITS, r"\.commit\(\)", ("central",)),
        ("print", set(), r"^\s*print\(", ("edge_agent", "central")),
        ("sleep", set(), r"\btime\.sleep\(", ("edge_agent", "central")),
    ],
)
def test_banned_calls_stand_only_at_their_edge(
    rule: str, allowed: set[str], pattern: str, folders: tuple[str, ...]
) -> None:
    found = offences(rule, allowed, pattern, *folders)
    assert not found, f"{rule}: move it to its edge, or say why with '# tidy: {rule} <reason>'\n" + "\n".join(found)


def is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"}
    )


def test_everything_is_caught_only_where_a_supervisor_stands_or_to_be_raised_again() -> None:
    found = []
    for path in product_files("edge_agent", "central"):
        name = path.relative_to(ROOT).as_posix()
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if not isinstance(node, ast.ExceptHandler) or not is_broad(node) or name in BROAD_EXCEPT:
                continue
            last = node.body[-1]
            raised_again = isinstance(last, ast.Raise) and last.exc is None
            if not raised_again and not excused(lines, node.lineno, "broad-except"):
                found.append(f"{name}:{node.lineno}")
    assert not found, "\n".join(found)


def test_tests_wait_for_conditions() -> None:
    sleeps = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "time.sleep(" in line and path.name != "test_tidy.py" and "# tidy: sleep " not in line
    ]
    assert not sleeps, sleeps
