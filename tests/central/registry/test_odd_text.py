"""Text that a database cannot hold is refused as any wrong entry is, wherever it comes in."""

from __future__ import annotations

import httpx
import pytest

NUL = "Kim\x00Lee"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "organizations", {"name": NUL, "kind": "prime"}),
        ("POST", "workers", {"name": NUL}),
        ("POST", "projects", {"code": "x", "name": NUL, "client_id": 1}),
        ("PATCH", "sites/site-07", {"name": NUL}),
        ("POST", "sites/site-07/terminals", {"code": "g", "readers": [{"name": "r1", "direction": "in", "zone": NUL}]}),
        ("GET", "workers?worker_no=a%00", None),
        ("GET", "cards?token=a%00", None),
        ("GET", "organizations?kind=a%00", None),
        ("GET", "sites/a%00", None),
        ("GET", "projects/a%00", None),
        ("GET", "sites/site-07/terminals/a%00", None),
    ],
)
def test_a_nul_is_refused_and_no_failure(
    operator: httpx.Client, site_seven: dict[str, int], method: str, path: str, body: dict[str, object] | None
) -> None:
    assert site_seven
    answer = operator.request(method, path, json=body)
    assert answer.status_code in {404, 422}, answer.text


@pytest.mark.parametrize("name", ["김철수", "Nguyễn Văn Hùng", "สมชาย ใจดี", "O'Brien; DROP TABLE", "👷", "\u202eevil"])
def test_names_of_every_script_come_back_as_they_were_given(
    operator: httpx.Client, site_seven: dict[str, int], name: str
) -> None:
    assert site_seven
    made = operator.post("workers", json={"name": name})
    assert made.status_code == 201, made.text
    assert operator.get(f"workers/{made.json()['id']}").json()["name"] == name
