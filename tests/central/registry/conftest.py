"""A browser's stand-in on the registry's pages: it sends forms with their tokens, as a browser would."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import unescape

import httpx
import pytest

from simulators.clocks import HandClock
from simulators.web import WebServer

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Browser:
    """Opens pages and sends their forms, in English."""

    client: httpx.Client
    clock: HandClock

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def see(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:500]}"
        return unescape(answer.text)

    def send(self, path: str, *, token_of: str = "", **typed: object) -> httpx.Response:
        self.clock.move(timedelta(seconds=1))
        found = TOKEN.search(self.see(token_of or path))
        assert found is not None, f"{path} has no form"
        return self.client.post(path, data={"csrf_token": found[1], **{k: str(v) for k, v in typed.items()}})

    def done(self, path: str, *, token_of: str = "", **typed: object) -> str:
        """Send a form that is taken; return where it leads."""
        answer = self.send(path, token_of=token_of, **typed)
        assert answer.status_code == 303, f"{path}: {answer.status_code} {trouble(answer)}"
        return answer.headers["location"]


def trouble(answer: httpx.Response) -> list[str]:
    """What a form says is wrong."""
    told = re.findall(r'<p class="why"[^>]*>(.*?)</p>', answer.text)
    whole = re.search(r'id="trouble".*?<p>(.*?)</p>', answer.text, re.DOTALL)
    return [unescape(one) for one in [*told, *([whole[1]] if whole else [])]]


@pytest.fixture
def browser_of(registry_web: WebServer, hand_clock: HandClock) -> Callable[[httpx.Client], Browser]:
    """Make a browser of whoever an API client is."""

    def make(api: httpx.Client) -> Browser:
        api.base_url = httpx.URL(registry_web.url)
        api.cookies.set("ccs_language", "en")
        api.headers["accept"] = "text/html"
        return Browser(api, hand_clock)

    return make


@pytest.fixture
def browser(api_for: Callable[..., httpx.Client], browser_of: Callable[[httpx.Client], Browser]) -> Browser:
    """A browser of somebody who may do everything."""
    return browser_of(api_for("*"))
