"""Fetch the browser files and fonts we keep in the tree, through `npm pack`, and record what was kept.

    python scripts/vendor.py           fetch, check each package's SHA-256, write the files and their sums
    python scripts/vendor.py --check   compare the files in the tree with the recorded sums; needs no network

KRDS's style sheet is 580 KB; only the components that our macros use are kept (`cut`), without images and without the
high-contrast and theme copies of each rule.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SUMS = ROOT / "scripts" / "vendored.sha256"
STATIC = "central/kit/static/vendor"
FONTS = "central/kit/fonts"


@dataclass(frozen=True)
class Package:
    """A package at one version, its archive's SHA-256, and which of its files go where (from the project's root)."""

    name: str
    version: str
    sha256: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "htmx.org",
        "4.0.1",
        "5fba65616ca148a86d377e9771bcada7f35faee3558651feb929eea425e13b3c",
        {"dist/htmx.min.js": f"{STATIC}/htmx.min.js", "LICENSE": f"{STATIC}/htmx.LICENSE.txt"},
    ),
    Package(
        "pretendard",
        "1.3.9",
        "0ffc240cee83be02520fb4ac1b2a0a51052b9d13506ade0ba90c591dbbb3bd53",
        {
            "dist/public/static/Pretendard-Regular.otf": f"{FONTS}/Pretendard-Regular.otf",
            "dist/public/static/Pretendard-Bold.otf": f"{FONTS}/Pretendard-Bold.otf",
            "dist/LICENSE.txt": f"{FONTS}/Pretendard.LICENSE.txt",
        },
    ),
    Package("krds-uiux", "1.1.0", "2958eee582fabe3a3319a1032880f0f838c79647a311497d0d2045686c35dba8", {}),
)
KRDS_TARGET = f"{STATIC}/krds.css"
KRDS_PARTS = ("resources/css/token/krds_tokens.css", "resources/css/component/output.css")
KRDS_HEADER = (
    "/* Cut from krds-uiux 1.1.0 (KRDS, Korea Responsive Design System, krds.go.kr; ISC) by scripts/vendor.py */\n"
)

_BUTTONS = {"krds-btn", "primary", "secondary", "tertiary", "text", "xsmall", "small", "medium", "large", "xlarge"}
_BADGES = {"krds-badge"} | {
    f"{fill}-{tone}"
    for fill in ("bg", "bg-light", "outline")
    for tone in ("primary", "gray", "danger", "warning", "success", "information")
}
_FORMS = {"krds-input", "krds-form-select", "form-group", "form-tit", "form-conts"}
_TABLES = {"krds-table-wrap", "tbl", "data", "col"}
KEPT_CLASSES = _BUTTONS | _BADGES | _FORMS | _TABLES | {"sr-only"}
"""A rule stays when every class in its selector is one of these."""


class VendoringFailed(RuntimeError):
    """A package cannot be fetched, or is not the one that was recorded; says which and what to do."""


def main(arguments: list[str]) -> int:
    """Fetch, or with `--check` compare; return the process's exit code."""
    if arguments == ["--check"]:
        wrong = differences()
        print("\n".join(wrong) or "vendored files are as recorded")
        return 1 if wrong else 0
    if arguments:
        print(__doc__)
        return 2
    written = sorted(target for package in PACKAGES for target in vendor(package))
    SUMS.write_text("".join(f"{_sum(ROOT / path)}  {path}\n" for path in written))
    print(f"wrote {len(written)} files and {SUMS.relative_to(ROOT)}")
    return 0


def differences() -> list[str]:
    """Return one sentence for each vendored file that is missing or differs from its recorded sum."""
    wrong = []
    for line in SUMS.read_text().splitlines():
        recorded, path = line.split("  ", 1)
        file = ROOT / path
        if not file.exists():
            wrong.append(f"{path} is missing: run scripts/vendor.py")
        elif _sum(file) != recorded:
            wrong.append(f"{path} differs from its recorded sum: run scripts/vendor.py, never edit vendored files")
    return wrong


def vendor(package: Package) -> Iterator[str]:
    """Fetch one package, write its files, and yield their paths."""
    with tempfile.TemporaryDirectory() as folder:
        archive = _fetch(package, Path(folder))
        with tarfile.open(archive) as opened:

            def read(name: str) -> bytes:
                member = opened.extractfile(f"package/{name}")
                if member is None:
                    raise VendoringFailed(f"{package.name} {package.version} holds no {name}: was it moved?")
                return member.read()

            for source, target in package.files.items():
                _write(target, read(source))
                yield target
            if package.name == "krds-uiux":
                css = "\n".join(cut(read(part).decode()) for part in KRDS_PARTS)
                _write(KRDS_TARGET, (KRDS_HEADER + css + "\n").encode())
                yield KRDS_TARGET


def _fetch(package: Package, folder: Path) -> Path:
    command = ["npm", "pack", f"{package.name}@{package.version}", "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise VendoringFailed(f"npm could not fetch {package.name} {package.version}: {done.stderr.strip()}")
    archive = folder / done.stdout.strip().splitlines()[-1]
    found = _sum(archive)
    if found != package.sha256:
        raise VendoringFailed(f"{package.name} {package.version} has SHA-256 {found}, recorded is {package.sha256}")
    return archive


def _sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _write(target: str, content: bytes) -> None:
    path = ROOT / target
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# -- cutting a style sheet down


def cut(css: str) -> str:
    """Keep the rules whose every class is used, without comments, images, imports, and copies for other modes."""
    without_comments = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    statements_gone = re.sub(r"@(charset|import)[^;]*;", "", without_comments)
    return "\n".join(_kept(_rules(statements_gone)))


def _rules(css: str) -> Iterator[tuple[str, str]]:
    """Split a sheet into (prelude, body) of its top-level blocks."""
    depth = start = body_start = 0
    for index, character in enumerate(css):
        if character == "{":
            depth += 1
            if depth == 1:
                body_start = index + 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                yield css[start : body_start - 1].strip(), css[body_start:index]
                start = index + 1


def _kept(rules: Iterator[tuple[str, str]]) -> Iterator[str]:
    for prelude, body in rules:
        if prelude.startswith("@media"):
            inner = "".join(_kept(_rules(body)))
            if inner:
                yield f"{prelude}{{{inner}}}"
        elif not prelude.startswith("@"):
            selectors = [part.strip() for part in prelude.split(",") if _used(part)]
            declarations = _declarations(body)
            if selectors and declarations:
                yield f"{','.join(selectors)}{{{declarations}}}"


def _used(selector: str) -> bool:
    if "[data-krds" in selector or ":is(" in selector or ":not(" in selector:
        return False
    classes = re.findall(r"\.([A-Za-z][\w-]*)", selector)
    return selector.strip() == ":root" or (bool(classes) and all(name in KEPT_CLASSES for name in classes))


def _declarations(body: str) -> str:
    parts = (re.sub(r"\s+", " ", part).strip() for part in body.split(";"))
    return ";".join(part for part in parts if part and "url(" not in part and "-high-contrast-" not in part)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
