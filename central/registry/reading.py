"""Reading a sheet from somebody else in a process of its own, with little memory and little time.

A reader that lays a table out in memory can be made to ask for any amount of it, and a process that is refused memory
ends at once. So that process is never the one that serves pages: whatever a file does, it ends as a refused file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import structlog

from central.kit.errors import Invalid
from central.kit.sentences import sentence, unpacked
from central.registry import sheet

if TYPE_CHECKING:
    from central.registry.columns import Form
    from central.registry.sheet import SheetRow

WAIT_S_MAX = 100
"""On a machine so busy that the processor's time allowed is not to be had; shorter than a run is waited for."""
_ERROR_CHARS_MAX = 300

_log = structlog.get_logger()


def read(content: bytes, *, file: str, form: Form) -> list[SheetRow]:
    """Give the rows of a sheet's content. Raises `Invalid` saying what is wrong with the file and what to do."""
    sheet.check_size(file, len(content))
    answer = _answer(json.dumps({"file": file, "form": form.name}).encode() + b"\n" + content)
    if answer is None:
        raise Invalid(
            sentence(
                "%(file)s takes more memory or time than a sheet may: delete the empty columns and rows around the"
                " table, or copy the table into a new file",
                file=file,
            )
        )
    if "refusal" in answer:
        raise Invalid(unpacked(answer["refusal"]))
    return [sheet.SheetRow(number, cells) for number, cells in answer["rows"]]


def _answer(asked: bytes) -> dict[str, Any] | None:
    """Return what the reader said; None when it ended without a word. It inherits no secret of this process."""
    command = [sys.executable, "-X", "utf8", "-m", "central.registry.reader"]
    try:
        done = subprocess.run(  # noqa: S603 - a module of ours, and no word of anybody's
            command,
            input=asked,
            capture_output=True,
            env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            check=True,
            timeout=WAIT_S_MAX,
        )
    except subprocess.CalledProcessError as error:
        _log.warning("sheet_reader_ended", status=error.returncode, error=_end_of(error.stderr))
        return None
    except subprocess.TimeoutExpired:
        _log.warning("sheet_reader_ended", status=None, error=f"it took longer than {WAIT_S_MAX} s")
        return None
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _end_of(said: bytes) -> str:
    return said.decode("utf-8", "replace").strip()[-_ERROR_CHARS_MAX:]
