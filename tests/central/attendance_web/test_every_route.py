from __future__ import annotations

import re

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute

from central.kit import web
from simulators.web import WebServer

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("GET", "/invitation/{secret}"),
    ("POST", "/invitation/{secret}"),
    ("GET", "/recovery"),
    ("POST", "/recovery"),
    ("GET", "/recovery/{secret}"),
    ("POST", "/recovery/{secret}"),
    ("POST", "/invitation/{secret}/with/{provider_id}"),
    ("GET", "/sign-in/with/{provider_id}"),
    ("GET", "/sign-in/back/{provider_id}"),
    ("GET", "/language/{code}"),
    ("GET", "/api/v1/docs"),
    ("GET", "/me/sign-in"),
    ("POST", "/me/sign-in"),
    ("POST", "/me/sign-in/card"),
    ("POST", "/me/sign-in/code"),
    ("POST", "/me/sign-out"),
    ("GET", "/receipts/{text}"),
    ("POST", "/receipts/{text}"),
    ("GET", "/api/v1/receipt-keys"),
}
"""What may be asked for without being known: none of it shows who or how many are anywhere."""


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """List every (method, path), those of included routers with them."""
    routes = [
        route for held in app.routes for route in getattr(getattr(held, "original_router", None), "routes", [held])
    ]
    return {(method, route.path) for route in routes if isinstance(route, APIRoute) for method in route.methods or ()}


def test_every_route_but_a_named_few_asks_who_is_asking(central_app: FastAPI, central_web: WebServer) -> None:
    """Mutant: forget the guard of one route."""
    known = routes_of(central_app)
    assert known >= OPEN, "an open route that is gone is taken off the list"
    assert len(known) > 40
    token = web._token(b"s" * 32, "c" * 32, "0" * 16)  # a form's own, so that only the missing person is refused
    cookies, headers = {web.CSRF_COOKIE: "c" * 32}, {"x-csrf-token": token}
    with httpx.Client(base_url=central_web.url, timeout=30, cookies=cookies, headers=headers) as nobody:
        unguarded = []
        for method, path in sorted(known - OPEN):
            answer = nobody.request(method, re.sub(r"\{\w+\}", "1", path.replace("{form}", "csv")))
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                unguarded.append(f"{method} {path}: {answer.status_code}")
    assert unguarded == [], "\n".join(unguarded)
