"""A process that reads one sheet and ends: `python -m central.registry.reader`, started by `reading`.

Takes a line of JSON, `{"file": "roll.xlsx", "form": "roll"}`, then the file's content. Gives one JSON value: `{"rows":
[[2, {"name": "..."}], ...]}`, or `{"refusal": ...}` with a packed sentence. When it ends without a value, the file
asked for more than the process may have.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from pathlib import Path
from typing import Any

from central.kit.errors import Invalid
from central.kit.sentences import packed, sentence
from central.registry import sheet
from central.registry.columns import FORMS

MEMORY_BYTES_MAX = 1 << 30
"""The largest sheet that is taken (100 MiB unpacked) is read with half of it."""
CPU_S_MAX = 30
ANSWER_BYTES_MAX = 100 * 1024 * 1024
"""One text may stand behind many cells: what is given back is counted as well."""


def main() -> None:
    """Read what stands on the standard input, within the limits."""
    _limit()
    asked = json.loads(sys.stdin.buffer.readline())
    sys.stdout.buffer.write(_answer(sys.stdin.buffer.read(), file=asked["file"], form=asked["form"]))


def _limit() -> None:
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_CPU, CPU_S_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))
    # Where memory is short before that, it is this process that goes and not the one that serves pages.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _answer(content: bytes, *, file: str, form: str) -> bytes:
    try:
        rows = sheet.read_content(content, file=file, form=FORMS[form])
    except Invalid as refusal:
        return _written({"refusal": packed(refusal.message)})
    answer = _written({"rows": [(row.number, row.cells) for row in rows]})
    if len(answer) <= ANSWER_BYTES_MAX:
        return answer
    too_much = sentence("%(file)s unpacks to more than %(max)s bytes: split it", file=file, max=f"{ANSWER_BYTES_MAX:,}")
    return _written({"refusal": packed(too_much)})


def _written(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


if __name__ == "__main__":
    main()
