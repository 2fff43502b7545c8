from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from central.app import create_app
from central.identity.policy import Actor
from central.kit.config import BadSetting, Settings
from central.kit.errors import AppError, Conflict
from central.kit.i18n import choose_language
from central.kit.web import checked_form, flash, local_path, page
from simulators.web import WebServer

HTML = {"accept": "text/html"}


class Unsigned(AppError):
    status = 401
    code = "not_signed_in"


@pytest.fixture
def app() -> FastAPI:
    made = create_app(
        Settings(database_url="postgresql://nobody@127.0.0.1:1/none", secret_key="s" * 32, secure_cookies=False)
    )

    @made.get("/api/v1/conflict")
    def api_conflict() -> None:
        raise Conflict("The card is already assigned. End that assignment first.", card="a1")

    @made.get("/conflict")
    def page_conflict() -> None:
        raise Conflict("The card is already assigned. End that assignment first.")

    @made.get("/needs-sign-in")
    def needs_sign_in() -> None:
        raise Unsigned("Sign in first.")

    @made.get("/crash")
    def crash() -> None:
        raise RuntimeError("a secret detail")

    @made.get("/form")
    def form(request: Request) -> Response:
        return page(request, "kit/problem.html", detail="x", problem_status=409)

    @made.post("/form", dependencies=[Depends(checked_form)])
    def sent(request: Request) -> Response:
        answer = RedirectResponse("/form", status_code=303)
        flash(request, answer, "done", "Saved <b>.")
        return answer

    @made.get("/number")
    def number(count: Annotated[int, Depends(lambda count=1: count)]) -> int:
        return count

    @made.get("/api/v1/number")
    def api_number(count: int) -> int:
        return count

    return made


@pytest.fixture
def client(app: FastAPI) -> Iterator[httpx.Client]:
    with WebServer(app) as server, httpx.Client(base_url=server.url, follow_redirects=True, timeout=30) as made:
        yield made


def test_a_body_longer_than_any_request_needs_is_refused(client: httpx.Client) -> None:
    """Mutant: believe the length that the request names, or ask for none."""
    answer = client.post("/form", content=b"x" * 1_000_001)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "The request is longer than 1,000,000 bytes. Send less at a time."
    parts = (b"a=" + b"x" * 99_998 for _ in range(11))
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/form", content=parts, headers=form).status_code == 413


def test_without_a_secret_only_a_demo_without_tls_starts() -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(BadSetting, match="CCS_SECRET_KEY is not set"):
        create_app(Settings(database_url=nowhere))
    secrets = {
        create_app(Settings(database_url=nowhere, secure_cookies=False)).state.settings.secret_key for _ in range(2)
    }
    assert len(secrets) == 2
    assert all(len(secret) == 64 for secret in secrets)


def test_a_refusal_is_problem_details_for_a_program(client: httpx.Client) -> None:
    answer = client.get("/api/v1/conflict", headers=HTML)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:ccs:problem:conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "The card is already assigned. End that assignment first.",
        "instance": "/api/v1/conflict",
        "card": "a1",
    }


def test_a_malformed_request_names_the_field(client: httpx.Client) -> None:
    answer = client.get("/api/v1/number?count=many")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "query.count"


def test_a_refusal_is_a_page_for_a_person_in_their_language(client: httpx.Client) -> None:
    korean = client.get("/conflict", headers=HTML | {"accept-language": "ko"})
    english = client.get("/conflict", headers=HTML | {"accept-language": "en-GB"})
    assert korean.status_code == english.status_code == 409
    assert '<html lang="ko">' in korean.text
    assert '<html lang="en">' in english.text
    assert "already recorded" in english.text


def test_an_unknown_address_is_a_page_or_a_problem(client: httpx.Client) -> None:
    assert "<h1>" in client.get("/nowhere", headers=HTML).text
    assert client.get("/api/v1/nowhere").json()["type"] == "urn:ccs:problem:not_found"


def test_a_person_who_is_not_signed_in_is_led_there_and_back(client: httpx.Client) -> None:
    answer = client.get("/needs-sign-in?a=1", headers=HTML, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fneeds-sign-in%3Fa%3D1"


def test_a_crash_tells_nothing_of_its_inside(client: httpx.Client) -> None:
    answer = client.get("/crash", headers=HTML)
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_a_form_needs_its_token(client: httpx.Client) -> None:
    assert client.post("/form", headers=HTML).status_code == 403


def _with_token(app: FastAPI, client: httpx.Client) -> str:
    @app.get("/token")
    def token(request: Request) -> Response:
        request.state.actor = Actor("user:1", "Kim", "en", user_id=1)
        return page(request, "kit/problem.html", detail="x", problem_status=409)

    found = re.search(r'name="csrf_token" value="([0-9a-f]+)"', client.get("/token", headers=HTML).text)
    assert found
    return found[1]


def test_a_form_with_its_token_is_taken_and_the_next_page_says_so_once(app: FastAPI, client: httpx.Client) -> None:
    token = _with_token(app, client)
    answer = client.post("/form", data={"csrf_token": token}, headers=HTML)
    assert answer.status_code == 200
    assert "Saved &lt;b&gt;." in answer.text
    assert "Saved" not in client.get("/form", headers=HTML).text


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"csrf_token": "é" * 80}},
        {"data": {"csrf_token": "가" * 80}},
        {"headers": {"x-csrf-token": "\xe9" * 80}},
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n+2AA-\r\n--x--\r\n',
            "headers": {"content-type": "multipart/form-data; boundary=x; charset=utf-7"},
        },
    ],
    ids=["latin", "hangul", "header", "half a character"],
)
def test_a_token_in_any_writing_is_refused_as_every_wrong_one(
    app: FastAPI, client: httpx.Client, sent: dict[str, Any]
) -> None:
    """Mutant: texts are compared, which takes ASCII alone, and anybody can make the page fail."""
    _with_token(app, client)
    headers = {name: value.encode("latin-1") for name, value in (HTML | sent.get("headers", {})).items()}
    assert client.post("/form", **(sent | {"headers": headers})).status_code == 403


def test_a_flash_in_any_writing_is_not_shown_and_breaks_nothing(client: httpx.Client) -> None:
    answer = client.get("/form", headers={"accept": b"text/html", "cookie": b"ccs_flash=\xe9.WyJkb25lIiwiZXZpbCJd"})
    assert answer.status_code == 200
    assert "evil" not in answer.text


def test_a_forged_flash_is_not_shown(client: httpx.Client) -> None:
    client.cookies.set("ccs_flash", "0" * 32 + ".WyJkb25lIiwiZXZpbCJd")
    assert "evil" not in client.get("/form", headers=HTML).text


@pytest.mark.parametrize("header", [{"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}])
def test_another_sites_form_is_refused_even_with_a_token(
    app: FastAPI, client: httpx.Client, header: dict[str, str]
) -> None:
    token = _with_token(app, client)
    answer = client.post("/form", data={"csrf_token": token}, headers=HTML | header)
    assert answer.status_code == 403


def test_the_chosen_language_stays(client: httpx.Client) -> None:
    client.get("/language/en?next=/form", headers=HTML)
    assert '<html lang="en">' in client.get("/form", headers=HTML | {"accept-language": "ko"}).text


def test_every_answer_carries_the_security_headers(client: httpx.Client) -> None:
    for path in ("/form", "/api/v1/nowhere", "/static/icon.svg"):
        answer = client.get(path, headers=HTML)
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "", None, "x"])
def test_going_on_never_leaves_this_host(target: str | None) -> None:
    assert local_path(target) == "/"


def test_the_browsers_languages_are_weighed() -> None:
    assert choose_language(None, "fr, en;q=0.4, ko;q=0.8") == "ko"
    assert choose_language(None, "en;q=x, fr") == "ko"
    assert choose_language("en", "ko") == "en"


def test_the_api_describes_itself_with_an_example_of_every_body_and_no_other_host(client: httpx.Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    without = [
        f"{method} {path}"
        for path, methods in document["paths"].items()
        if not path.endswith("/number")
        for method, operation in methods.items()
        for body in (
            operation.get("requestBody", {"content": {"": {"example": 1}}}),
            next(answer for status, answer in operation["responses"].items() if status.startswith("2")),
        )
        if not any("example" in content for content in body.get("content", {}).values())
    ]
    assert [one for one in without if "/api/v1/" in one and "conflict" not in one] == []
    page = client.get("/api/v1/docs", headers=HTML)
    assert page.status_code == 200
    assert "/api/v1/sites/{code}/headcount/stream" in page.text
    assert "124-81-00998" in page.text
    assert "application/problem+json" in str(document)
    assert "HTTPValidationError" not in str(document["paths"])
    assert not re.search(r"(src|href)=.https?:", page.text)
