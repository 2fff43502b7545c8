"""Write into docs/promises.md by which tests each promise is shown, as the marks in the tests say.

    python scripts/promises.py

A mark is `@pytest.mark.promise("DUR-01")` on a test, or in the `pytestmark` of its module. A check in `make check`
fails while the document says otherwise.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "promises.md"
HEADING = "## Shown by\n"
INTRODUCTION = """
Written by `python scripts/promises.py` from the marks in the tests; a check in `make check` fails when it is not.
"""


def marked_in(node: ast.AST) -> Iterator[str]:
    """Yield the ids given to `pytest.mark.promise` within a decorator or a `pytestmark`."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "promise":
            yield from (str(one.value) for one in call.args if isinstance(one, ast.Constant))


def marks(root: Path = ROOT) -> dict[str, dict[str, list[str]]]:
    """Return promise → file → names of its tests, in the files' order."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        text = path.read_text()
        if "mark.promise" not in text:
            continue
        tree = ast.parse(text)
        whole = [one for node in tree.body if _is_pytestmark(node) for one in marked_in(node)]
        for node in _definitions(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                own = [one for decorator in node.decorator_list for one in marked_in(decorator)]
                for promise in dict.fromkeys([*whole, *own]):
                    files = found.setdefault(promise, {})
                    files.setdefault(path.relative_to(root).as_posix(), []).append(node.name)
    return found


def _definitions(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        yield from node.body if isinstance(node, ast.ClassDef) else [node]


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def section(root: Path = ROOT) -> str:
    """Return the part of the document that lists the tests."""
    lines = [HEADING, INTRODUCTION]
    for promise, files in sorted(marks(root).items()):
        lines.append(f"\n**{promise}**\n\n")
        for file, tests in files.items():
            names = ", ".join(f"`{name}`" for name in tests)
            lines.append(f"- [`{file}`](../{file}): {names}\n")
    return "".join(lines)


def renewed(document: str, root: Path = ROOT) -> str:
    """Return the document with its list of tests as it should be; the list is its last part."""
    kept = document.partition(HEADING)[0].rstrip()
    return f"{kept}\n\n{section(root)}"


def main() -> int:
    """Rewrite the document."""
    DOCUMENT.write_text(renewed(DOCUMENT.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
