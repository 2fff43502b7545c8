"""An OpenID Connect provider as a process of its own: discovery, keys, code flow with PKCE, signed identities.

Whoever opens its page says who they are: for tests and demos. `python -m simulators.oidc PORT CLIENT_ID SECRET BACK`.
The form's `mood` makes it lie, one way at a time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

TOKEN_S = 300
MOODS = ("", "another_audience", "another_issuer", "another_key", "expired", "old_nonce", "unsigned")


@dataclass
class Provider:
    """One client, one signing key, codes that are traded once."""

    issuer: str
    client_id: str
    client_secret: str
    back: str
    key: ECKey = field(
        default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
    )
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        """Return the provider as an application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/keys", self.keys),
                Route("/authorize", self.ask),
                Route("/authorize", self.answer, methods=["POST"]),
                Route("/token", self.token, methods=["POST"]),
                Route("/logout", self.logout),
            ]
        )

    async def configuration(self, _: Request) -> Response:
        """Say where everything is."""
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/logout",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        )

    async def keys(self, _: Request) -> Response:
        """Publish the public key."""
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def ask(self, request: Request) -> Response:
        """Ask who it is."""
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{escape(request.query_params.get(name, ""))}">'
            for name in ("redirect_uri", "state", "nonce", "code_challenge", "client_id")
        )
        return HTMLResponse(
            f'<form method="post">{hidden}<input name="subject"><input name="amr"><button>Sign in</button></form>'
        )

    async def answer(self, request: Request) -> Response:
        """Send the browser back with a code."""
        form = {name: str(value) for name, value in (await request.form()).items()}
        if form.get("client_id") != self.client_id or form.get("redirect_uri") != self.back:
            return JSONResponse({"error": "invalid_request"}, status_code=400)
        if not form.get("subject"):
            query = urlencode({"error": "access_denied", "state": form.get("state", "")})
            return RedirectResponse(f"{self.back}?{query}", status_code=303)
        code = secrets.token_urlsafe(16)
        self.codes[code] = form
        query = urlencode({"code": code, "state": form.get("state", ""), "iss": self.issuer})
        return RedirectResponse(f"{self.back}?{query}", status_code=303)

    async def token(self, request: Request) -> Response:
        """Trade a code for a signed identity, once, for who holds the secret and the verifier."""
        form = await request.form()
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        asked = self.codes.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked.get("code_challenge") != challenge or form.get("redirect_uri") != self.back:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        return JSONResponse({"access_token": "none", "token_type": "Bearer", "id_token": self.identity(asked)})

    async def logout(self, request: Request) -> Response:
        """End the person's session here and send them back, when it is the client's own address that they go to."""
        onward = request.query_params.get("post_logout_redirect_uri", "")
        if (
            request.query_params.get("client_id") != self.client_id
            or urlsplit(onward).netloc != urlsplit(self.back).netloc
        ):
            return JSONResponse({"error": "invalid_request"}, status_code=400)
        return RedirectResponse(onward, status_code=303)

    def identity(self, asked: dict[str, str]) -> str:
        """Sign who somebody is, or lie as the mood says."""
        mood, at = asked.get("mood", ""), int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer if mood != "another_issuer" else "https://elsewhere.example",
            "aud": self.client_id if mood != "another_audience" else "another-client",
            "sub": asked["subject"],
            "iat": at,
            "exp": at + TOKEN_S if mood != "expired" else at - 2 * TOKEN_S,
            "nonce": asked.get("nonce", "") if mood != "old_nonce" else "replayed",
            "amr": asked.get("amr", "pwd").split(),
        }
        if mood == "unsigned":
            head, body = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in _plain(claims))
            return f"{head}.{body}."
        key = self.key if mood != "another_key" else ECKey.generate_key("P-256", {"kid": "one"})
        return jwt.encode({"alg": "ES256", "kid": "one"}, claims, key)


def _plain(claims: dict[str, Any]) -> tuple[bytes, bytes]:
    return b'{"alg":"none"}', json.dumps(claims).encode()


def main() -> None:
    """Serve until told to stop."""
    port, client_id, client_secret, back = sys.argv[1:5]
    provider = Provider(f"http://127.0.0.1:{port}", client_id, client_secret, back)
    uvicorn.run(provider.app(), host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
