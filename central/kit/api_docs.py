"""The API's own description: OpenAPI with an example of every body, and the same as a page that needs no other host."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.openapi.utils import get_openapi

from central.kit.web import page

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import Response

OPENAPI_PATH = "/api/v1/openapi.json"
DOCS_PATH = "/api/v1/docs"
_PROBLEM = {
    "type": "urn:ccs:problem:not_found",
    "title": "Not Found",
    "status": 404,
    "detail": "there is no such site, or you have no role on it: check the code, or ask for a role",
    "instance": "/api/v1/sites/site-99",
}
_REFUSED = {
    "description": "Refused: RFC 9457 problem details; `type` is stable, `detail` says what to do.",
    "content": {"application/problem+json": {"example": _PROBLEM}},
}
_FORMATS = {
    "date": "2026-11-22",
    "date-time": "2026-11-22T00:41:04Z",
    "uuid": "01931f3e-8d2a-7c41-9b5e-3f6a2d90c1e7",
}
_PLAIN = {"integer": 1, "number": 1, "boolean": False, "string": "text", "null": None}
_METHODS = ("get", "post", "patch", "put", "delete")
DEPTH_MAX = 8


@dataclass(frozen=True, slots=True)
class Call:
    """One operation, as the page shows it."""

    method: str
    path: str
    text: str
    parameters: list[dict[str, Any]]
    body: str
    """JSON, or empty when it takes none."""
    answer: str


def describe(app: FastAPI) -> None:
    """Serve the description: OpenAPI under `OPENAPI_PATH`, the page under `DOCS_PATH`."""
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(_with_examples(get_openapi(title=app.title, version=app.version, routes=app.routes)))
        return made

    def docs(request: Request) -> Response:
        return page(request, "kit/api.html", groups=calls(openapi()), openapi_path=OPENAPI_PATH)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to change it
    app.add_api_route(DOCS_PATH, docs, include_in_schema=False, response_model=None)


def example_of(schema: dict[str, Any], parts: dict[str, Any], *, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """Make an example of a JSON Schema: its own where it has one, else a plain value of its type."""
    if "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    if schema.get("examples"):
        return schema["examples"][0]
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return example_of(choice, parts, depth=depth)
    if schema.get("default") is not None:
        return schema["default"]
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), parts, depth=depth + 1)] if depth < DEPTH_MAX else []
    if schema.get("type") == "object":
        properties = schema.get("properties", {}) if depth < DEPTH_MAX else {}
        return {name: example_of(one, parts, depth=depth + 1) for name, one in properties.items()}
    return _FORMATS.get(schema.get("format", ""), _PLAIN.get(schema.get("type", "")))


def _with_examples(document: dict[str, Any]) -> dict[str, Any]:
    parts = document.get("components", {}).get("schemas", {})
    _share_examples(parts)
    for _, _, operation in _operations(document):
        answers = operation["responses"]
        answers.pop("422", None)
        bodies = [operation.get("requestBody", {}), *answers.values()]
        for content in (kind for body in bodies for kind in body.get("content", {}).values()):
            if content.get("schema"):
                content.setdefault("example", example_of(content["schema"], parts))
        answers["default"] = _REFUSED
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    return document


def _share_examples(parts: dict[str, Any]) -> None:
    """Give a field of a `…View` that has no example the one that it has in the `…Given` of the same thing."""
    for title, part in parts.items():
        given = parts.get(f"{title.removesuffix('View')}Given", {}).get("properties", {})
        for name, one in part.get("properties", {}).items():
            if given.get(name, {}).get("examples"):
                one.setdefault("examples", given[name]["examples"])


def _operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    ]


def calls(document: dict[str, Any]) -> dict[str, list[Call]]:
    """Lay the description out for the page, by tag."""
    groups: dict[str, list[Call]] = {}
    for method, path, operation in _operations(document):
        answers = operation["responses"].items()
        good: dict[str, Any] = next((answer for status, answer in answers if status.startswith("2")), {})
        call = Call(
            method=method.upper(),
            path=path,
            text=operation.get("description", operation["summary"]),
            parameters=operation.get("parameters", []),
            body=_example(operation.get("requestBody", {})),
            answer=_example(good),
        )
        groups.setdefault(operation.get("tags", ["other"])[0], []).append(call)
    return groups


def _example(body: dict[str, Any]) -> str:
    for content in body.get("content", {}).values():
        if "example" in content:
            example = content["example"]
            return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, indent=2)
    return ""
