from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file

from central.kit import i18n

CENTRAL = Path(i18n.__file__).parents[1]
KEYWORDS = {"_": None, "gettext": (2,), "translate": (2,), "say": None, "sentence": None}
SHOWN_TO_PEOPLE = (
    "app.py",
    *(f"identity/{path.name}" for path in sorted((CENTRAL / "identity").glob("*.py"))),
    "kit/problems.py",
    "kit/public.py",
    "kit/sealed.py",
    "kit/web.py",
    *(f"privacy/{path.name}" for path in sorted((CENTRAL / "privacy").glob("*.py"))),
)
Message = str | tuple[str, ...]


def sentences() -> set[Message]:
    """Every sentence that a page or an export can show, as the code has it."""
    found: set[Message] = set()
    for path in CENTRAL.rglob("*.py"):
        for _, message, _, _ in extract_from_file("python", path, keywords=KEYWORDS):
            found.add(plain(message))
    for path in CENTRAL.glob("*/templates/**/*.html"):
        options = {"extensions": "jinja2.ext.i18n", "silent": "false"}
        for _, message, _, _ in extract_from_file("jinja2", path, options=options):
            found.add(plain(message))
    return found | refusals()


def plain(message: str | tuple[str | None, ...] | list[str]) -> Message:
    return message if isinstance(message, str) else tuple(part for part in message if part)


def refusals() -> set[Message]:
    """The sentences without figures that pages show as refusals: a raised class's first argument, or a `detail`."""
    found: set[Message] = set()
    for name in SHOWN_TO_PEOPLE:
        for node in ast.walk(ast.parse((CENTRAL / name).read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                found |= literal(node.exc.args[0])
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "detail":
                found |= literal(node.value)
            if isinstance(node, ast.keyword) and node.arg == "detail":
                found |= literal(node.value)
    return found


def literal(node: ast.expr) -> set[Message]:
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def translated(language: str, message: Message) -> str:
    catalogue = i18n.translations(language)
    if isinstance(message, str):
        return catalogue.gettext(message)
    return catalogue.ngettext(message[0], message[1], 2)


def places(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[sd]|\{\w+\}", text))


def test_the_extraction_finds_what_is_there() -> None:
    found = sentences()
    assert len(found) > 120
    assert "Sites" in found
    assert "There is nothing at this address." in found


@pytest.mark.parametrize("language", [code for code in i18n.LANGUAGES if code != "en"])
def test_no_sentence_is_left_untranslated(language: str) -> None:
    missing = [m for m in sorted(sentences(), key=str) if translated(language, m) in {m, "", m[0], m[-1]}]
    assert not missing, "\n".join(map(str, missing))


@pytest.mark.parametrize("language", [code for code in i18n.LANGUAGES if code != "en"])
def test_a_translation_keeps_the_places_to_fill_in(language: str) -> None:
    for message in sentences():
        source = message if isinstance(message, str) else message[1]
        assert places(translated(language, message)) == places(source), message
