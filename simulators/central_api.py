"""Central's JSON API as an outside program uses it: one kept connection, a token, errors as sentences."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

ANSWER_S_MAX = 30.0
_REFUSED_FROM = 400


class ApiRefused(RuntimeError):
    """Central refused a request; the message is its own sentence with method, path and status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class CentralApi:
    """A client with a token; not for use by two threads at once. Use as a context."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = f"{url!r} is not an address of the form http://host:port"
            raise ValueError(message)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=ANSWER_S_MAX)
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        """Ask for a resource; raise `ApiRefused` or `OSError`."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Create something; raise `ApiRefused` or `OSError`."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:  # noqa: ANN401 - any JSON
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        raw = json.dumps(body).encode() if body is not None else None
        try:
            self._connection.request(method, path, raw, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (http.client.HTTPException, OSError) as exc:
            self._connection.close()  # the next request opens a new one
            message = f"central does not answer {method} {path}: {exc or type(exc).__name__}"
            raise ConnectionError(message) from exc
        if answer.status >= _REFUSED_FROM:
            raise ApiRefused(answer.status, f"{method} {path}: {answer.status} {_sentence(content)}")
        return json.loads(content) if content else None


def _sentence(content: bytes) -> str:
    try:
        problem = json.loads(content)
    except ValueError:
        return content.decode(errors="replace")[:300]
    found = problem.get("detail") or problem.get("title") if isinstance(problem, dict) else None
    return str(found or problem)[:600]
