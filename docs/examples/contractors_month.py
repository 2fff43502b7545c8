"""Fetch one's own workers' taps and days of a month at a site, as docs/api.md says. Python's standard library alone.

CCS_TOKEN=ccs_… python contractors_month.py https://ccs.example site-07 2026-11
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen


def pages(url: str, path: str, **query: str) -> list[dict[str, Any]]:
    """Follow `next_cursor` to the end and return every item."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        asked = urlencode(query | ({"cursor": cursor} if cursor else {}))
        headers = {"Authorization": f"Bearer {os.environ['CCS_TOKEN']}", "Accept": "application/json"}
        with urlopen(Request(f"{url}/api/v1/{path}?{asked}", headers=headers), timeout=60) as answer:
            page = json.load(answer)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def main() -> None:
    """Print the month's sums, and each worker's."""
    url, site, month = sys.argv[1:]
    days = pages(url, f"sites/{site}/days", month=month)
    taps = [tap for tap in pages(url, f"sites/{site}/worker-taps", month=month) if tap["on"] is not None]
    sums = {
        "workers": len({day["worker_id"] for day in days}),
        "days": sum(day["first_in_at"] is not None for day in days),
        "taps": len(taps),
        "doubtful": sum(bool(day["doubts"]) for day in days),
    }
    by_worker: dict[str, dict[str, int]] = {}
    for day in days:
        mine = by_worker.setdefault(f"{day['worker_no'] or day['worker_id']} {day['name']}", {"days": 0, "taps": 0})
        mine["days"] += day["first_in_at"] is not None
        mine["taps"] += day["taps"]
    if sum(day["taps"] for day in days) != len(taps):
        sys.exit("a tap came between the two questions: ask again")
    print(json.dumps({"sums": sums, "workers": by_worker}, ensure_ascii=False, indent=2))


main()
