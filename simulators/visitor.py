"""A person at a browser without JavaScript, who reads a form's token before sending it, and an app that shows codes."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.identity import totp

if TYPE_CHECKING:
    import httpx

    from simulators.clocks import HandClock

PASSWORD = "correct horse battery"  # noqa: S105 - of made-up people


@dataclass
class Visitor:
    """A browser without JavaScript."""

    client: httpx.Client
    app_ticket: str = ""
    """What the form of the app that was offered last brings back."""

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self.client.get(path)

    def text(self, path: str) -> str:
        """Open a page, wherever it leads, and read it."""
        return self.client.get(path, follow_redirects=True).text

    def token(self) -> str:
        """Read the token that every form of this browser must carry."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.text("/recovery") + self.text("/account"))
        if found is None:
            raise RuntimeError("no page shows a form token")
        return found[1]

    def send(self, path: str, /, **form: object) -> httpx.Response:
        """Send a form."""
        return self.client.post(path, data={"csrf_token": self.token()} | form)

    def sign_in(self, email: str, password: str = PASSWORD, target: str = "/account") -> httpx.Response:
        """Send the sign-in form."""
        return self.send("/sign-in", email=email, password=password, next=target)

    @property
    def secret(self) -> str:
        """The session cookie."""
        return self.client.cookies.get("ccs_session") or ""

    def set_up_app(self) -> bytes:
        """Have an authenticator app offered; return its secret."""
        shown = self.send("/account/second-factor/app").text
        found = re.search(r"<code>([A-Z2-7 ]+)</code>", shown)
        if found is None:
            raise RuntimeError(f"the page shows no key: {shown}")
        self.app_ticket = _hidden(shown, "ticket")
        return secret_bytes(found[1])

    def confirm_app(self, code: str, **more: object) -> httpx.Response:
        """Send the first code of the app that was offered last."""
        return self.send("/account/second-factor/app/confirm", ticket=self.app_ticket, code=code, **more)


def _hidden(shown: str, name: str) -> str:
    """What a form of a page sends back unseen, or nothing."""
    found = re.search(rf'type="hidden" name="{name}" value="([^"]*)"', shown)
    return found[1] if found else ""


def secret_bytes(written: str) -> bytes:
    """Read a key as a page writes it for a person's eyes."""
    text = written.replace(" ", "")
    return base64.b32decode(text + "=" * (-len(text) % 8))


def code_now(secret: bytes, clock: HandClock) -> str:
    """What an authenticator app shows."""
    return totp.code_of(secret, totp.step_at(clock.now()))


def said(answer: httpx.Response) -> str:
    """The refusal that a page says."""
    found = re.search(r'role="alert"[^>]*>([^<]+)<', answer.text)
    return found[1] if found else ""
