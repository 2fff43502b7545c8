"""A single-sign-on provider: OpenID Connect, code flow with PKCE. The only door to its network and token library."""

from __future__ import annotations

import base64
import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from central.kit.config import BadSetting
from central.kit.errors import AppError, NotFound

if TYPE_CHECKING:
    from datetime import datetime

ANSWER_S_MAX = 10.0
ANSWER_BYTES_MAX = 200_000
CLOCKS_APART_S_MAX = 60
DOCUMENT_KEPT_S = 3600.0
SUBJECT_CHARS_MAX = 255
ALGORITHMS = ("ES256", "ES384", "EdDSA", "PS256", "RS256")


class OutsideUnavailable(AppError):
    """The provider cannot be asked now."""

    status = 503
    code = "outside_unavailable"


class OutsideRefused(AppError):
    """What came back from the provider cannot be believed, or the provider refused."""

    status = 401
    code = "outside_refused"


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as the operator set it up."""

    id: str
    name: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    vouches_for_factor: bool = False
    """Whether `mfa` in its `amr` claim counts as a second factor here."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a provider says of a person."""

    subject: str
    factor: bool


class Providers:
    """The providers of this installation, with what they publish of themselves kept for an hour."""

    def __init__(self, offered: tuple[Provider, ...], *, transport: httpx.BaseTransport | None = None) -> None:
        self.offered = offered
        self._transport = transport
        self._documents: dict[str, tuple[float, dict[str, Any]]] = {}

    def get(self, provider_id: str) -> Provider:
        """Return a provider that is offered here."""
        for provider in self.offered:
            if provider.id == provider_id:
                return provider
        raise NotFound("there is no such way to sign in here: open the sign-in page again")

    def way_out(self, provider: Provider, *, back: str, state: str, nonce: str, verifier: str, now: datetime) -> str:
        """Return the address at the provider that a browser is sent to."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": provider.client_id,
                "redirect_uri": back,
                "scope": "openid",
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        address = str(self._configuration(provider, now=now)["authorization_endpoint"])
        return f"{address}{'&' if urlsplit(address).query else '?'}{query}"

    def way_home(self, provider: Provider, *, back: str, now: datetime) -> str | None:
        """Return where the person's session at the provider is ended (RP-Initiated Logout), if it says where. Blocks.

        No identity token is kept to hint with; a provider that wants to be sure asks the person.
        """
        address = self._configuration(provider, now=now).get("end_session_endpoint")
        if not isinstance(address, str) or urlsplit(address).scheme not in {"http", "https"}:
            return None
        query = urlencode({"client_id": provider.client_id, "post_logout_redirect_uri": back})
        return f"{address}{'&' if urlsplit(address).query else '?'}{query}"

    def vouched(self, provider: Provider, *, code: str, back: str, nonce: str, verifier: str, now: datetime) -> Vouched:
        """Trade a code for what the provider says of the person; or `OutsideRefused`, `OutsideUnavailable`. Blocks."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
        address = str(self._configuration(provider, now=now)["token_endpoint"])
        answer = self._ask("POST", address, data=form, auth=(provider.client_id, provider.client_secret))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise OutsideRefused("the sign-in service sent no identity: try again, or sign in with your password")
        return self._read(provider, token, nonce=nonce, now=now)

    def _read(self, provider: Provider, token: str, *, nonce: str, now: datetime) -> Vouched:
        for fresh in (False, True):  # a provider may have new keys since they were last read
            keys = KeySet.import_key_set(self._keys(provider, fresh=fresh, now=now))
            try:
                claims = jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims
            except (JoseError, ValueError):
                continue
            wrong = wrong_claim(claims, provider, nonce=nonce, now=now)
            if wrong:
                break
            methods = claims.get("amr") or []
            factor = provider.vouches_for_factor and isinstance(methods, list) and "mfa" in methods
            return Vouched(str(claims["sub"]), factor)
        raise OutsideRefused("what the sign-in service sent cannot be believed: try again, or tell a system operator")

    def _configuration(self, provider: Provider, *, now: datetime) -> dict[str, Any]:
        address = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = self._document(address, fresh=False, now=now)
        needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if found.get("issuer") != provider.issuer or not all(isinstance(found.get(name), str) for name in needed):
            raise OutsideRefused("the sign-in service describes itself as another one: tell a system operator")
        return found

    def _keys(self, provider: Provider, *, fresh: bool, now: datetime) -> Any:  # noqa: ANN401 - a JWK set, checked by joserfc
        return self._document(str(self._configuration(provider, now=now)["jwks_uri"]), fresh=fresh, now=now)

    def _document(self, address: str, *, fresh: bool, now: datetime) -> dict[str, Any]:
        kept = self._documents.get(address)
        if kept is None or fresh or abs(now.timestamp() - kept[0]) > DOCUMENT_KEPT_S:
            kept = self._documents[address] = (now.timestamp(), self._ask("GET", address))
        return kept[1]

    def _ask(self, method: str, address: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as httpx takes it
        try:
            status, body = self._read_answer(method, address, **more)
        except httpx.HTTPError as error:
            raise OutsideUnavailable("the sign-in service does not answer now: sign in with your password") from error
        try:
            found = httpx.Response(status, content=body).json()
        except ValueError:
            found = None
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise OutsideUnavailable("the sign-in service does not answer now: sign in with your password")
        if status != httpx.codes.OK or not isinstance(found, dict):
            raise OutsideRefused("the sign-in service refused: try again, or sign in with your password")
        return found

    def _read_answer(self, method: str, address: str, **more: Any) -> tuple[int, bytes]:  # noqa: ANN401 - as above
        with (
            httpx.Client(timeout=ANSWER_S_MAX, follow_redirects=False, transport=self._transport) as client,
            client.stream(method, address, headers={"accept": "application/json"}, **more) as answer,
        ):
            body = b""
            for part in answer.iter_bytes():
                body += part
                if len(body) > ANSWER_BYTES_MAX:
                    raise OutsideRefused("the sign-in service sent too much: tell a system operator")
            return answer.status_code, body


def wrong_claim(claims: dict[str, Any], provider: Provider, *, nonce: str, now: datetime) -> str:
    """Name the first claim that does not fit this sign-in, or nothing (OpenID Connect Core 3.1.3.7)."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    at, expires, issued = now.timestamp(), claims.get("exp"), claims.get("iat")
    subject = claims.get("sub")
    checks = {
        "iss": claims.get("iss") == provider.issuer,
        "aud": provider.client_id in audiences,
        "azp": claims.get("azp", provider.client_id) == provider.client_id and (len(audiences) == 1 or "azp" in claims),
        "exp": isinstance(expires, int | float) and at < expires + CLOCKS_APART_S_MAX,
        "iat": isinstance(issued, int | float) and issued < at + CLOCKS_APART_S_MAX,
        "nonce": claims.get("nonce") == nonce,
        "sub": isinstance(subject, str) and 1 <= len(subject) <= SUBJECT_CHARS_MAX,
    }
    return next((name for name, fits in checks.items() if not fits), "")


def load_providers(path: Path | None) -> Providers:
    """Read the operator's file of providers; raise `BadSetting` naming what cannot be used."""
    if path is None:
        return Providers(())
    try:
        tables = tomllib.loads(path.read_text())["provider"]
        return Providers(tuple(_provider(table, path) for table in tables))
    except OSError as error:
        raise BadSetting(
            f"CCS_OIDC_FILE {path} cannot be read ({error.strerror}): check its path and rights"
        ) from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise BadSetting(f"CCS_OIDC_FILE {path} cannot be used ({error}): see docs/access.md for an example") from error


def _provider(table: dict[str, Any], path: Path) -> Provider:
    issuer = str(table["issuer"])
    local = urlsplit(issuer).hostname in {"127.0.0.1", "localhost"}
    if not issuer.startswith("https://") and not local:
        raise BadSetting(f"CCS_OIDC_FILE {path}: the issuer {issuer!r} must begin with https://")
    secret = (path.parent / str(table["client_secret_file"])).read_text().strip()
    return Provider(
        str(table["id"]),
        str(table["name"]),
        issuer,
        str(table["client_id"]),
        secret,
        vouches_for_factor=bool(table.get("vouches_for_second_factor", False)),
    )
