"""Settings, read once from the environment at start; the only reader of environment variables in central."""

from __future__ import annotations

import difflib
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class BadSetting(ValueError):
    """An environment variable is missing or has a value that cannot be used; says which, found and expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a central process is started with. Every name below is `CCS_` + upper case in the environment."""

    database_url: str
    """`postgresql://…`, as libpq reads it."""
    mqtt_url: str = "mqtt://127.0.0.1:1883"
    """`mqtt://[user:password@]host:port` or `mqtts://…`; MQTT 5."""
    mqtt_session_s: int = 15
    """How long the broker keeps the session of a worker that died: long enough to restart; short, because Mosquitto
    goes on dealing it its share, which terminals must send again. 0 keeps none: rumqttd 0.20, the demo's broker,
    crashes when a session with unacknowledged messages of a shared subscription is to be kept."""
    mqtt_ca_file: Path | None = None
    mqtt_cert_file: Path | None = None
    mqtt_key_file: Path | None = None
    secret_key: str = field(default="", repr=False)
    """At least 32 characters, the same for every web process; seals forms and one-time notices (sessions are rows).
    The web does not start without it, unless `secure_cookies` is off: then one is made up at each start."""
    card_key_file: Path | None = None
    """32 bytes, hex: the system key under which card identities become tokens."""
    signing_key_file: Path | None = None
    """Ed25519 private key, PEM: signs rosters and commands."""
    signing_key_id: str = "central-1"
    data_key_file: Path | None = None
    """32 bytes, hex: seals one-time-code secrets, waiting mail and identity numbers at rest."""
    public_url: str = ""
    """`https://…`, where people reach the web: links in mail, passkeys and single sign-on stand on it."""
    second_factor: str = ""
    """`required` of roles that approve money or see personal data, or `offered`. Empty: required, except where
    `secure_cookies` is off."""
    oidc_file: Path | None = None
    """Providers of single sign-on, TOML; see docs/access.md."""
    smtp_url: str = field(default="", repr=False)
    """`smtp+starttls://[user:password@]host:587`, `smtps://…`, or `smtp://…` without TLS. Empty: no mail goes out."""
    mail_from: str = ""
    """The sender's address of every mail."""
    audit_anchor_file: Path | None = None
    """Where each night's length and head of the audit trail are added, best a folder of another machine: what shows
    that nobody cut the trail or wrote it anew."""
    sms_url: str = field(default="", repr=False)
    """`https://KEY:SECRET@host` of a gateway that speaks SOLAPI's message API. Empty: no text message goes out."""
    sms_from: str = ""
    """The registered number that text messages come from, digits only."""
    web_host: str = "127.0.0.1"
    web_port: int = 8000
    metrics_port: int = 0
    """Loopback port of `/healthz`, `/readyz`, `/metrics`; 0 for none. `all` uses three in a row: web, worker,
    scheduler. Metrics are never on the web's own port: they need no sign-in."""
    ingest_batch_events_max: int = 10_000
    """In one transaction. Only a backlog fills it: what comes singly waits `ingest_batch_wait_ms` at most."""
    ingest_batch_wait_ms: int = 5
    ingest_pending_messages_max: int = 20_000
    log_format: str = "json"
    """`json` or `text`."""
    secure_cookies: bool = True
    """False only for plain-HTTP demos and tests."""


_PATHS = {
    "audit_anchor_file",
    "mqtt_ca_file",
    "mqtt_cert_file",
    "mqtt_key_file",
    "card_key_file",
    "data_key_file",
    "oidc_file",
    "signing_key_file",
}
_NUMBERS = {
    "mqtt_session_s",
    "web_port",
    "metrics_port",
    "ingest_batch_events_max",
    "ingest_batch_wait_ms",
    "ingest_pending_messages_max",
}
_FLAGS = {"secure_cookies"}
_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_SECRET_KEY_CHARS_MIN = 32
SECOND_FACTOR_WORDS = ("", "required", "offered")


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read `CCS_*` variables; raise `BadSetting` naming the variable, what was found and what is expected."""
    source = os.environ if environ is None else environ
    _refuse_unknown(source)
    values: dict[str, object] = {}
    for name in Settings.__dataclass_fields__:
        variable = f"CCS_{name.upper()}"
        text = source.get(variable)
        if text is None or text == "":
            continue
        values[name] = _parse(variable, name, text)
    if "database_url" not in values:
        message = "CCS_DATABASE_URL is not set: give the PostgreSQL address, e.g. postgresql://ccs@127.0.0.1/ccs"
        raise BadSetting(message)
    secret = str(values.get("secret_key", ""))
    if secret and len(secret) < _SECRET_KEY_CHARS_MIN:
        message = f"CCS_SECRET_KEY has {len(secret)} characters: use at least {_SECRET_KEY_CHARS_MIN} random ones"
        raise BadSetting(message)
    _check_second_factor(str(values.get("second_factor", "")))
    return Settings(**values)  # type: ignore[arg-type]  # each value was parsed to its field's type above


def _check_second_factor(word: str) -> None:
    if word not in SECOND_FACTOR_WORDS:
        raise BadSetting(f"CCS_SECOND_FACTOR is {word!r}: expected required or offered")


def _refuse_unknown(source: Mapping[str, str]) -> None:
    known = [f"CCS_{name.upper()}" for name in Settings.__dataclass_fields__]
    for variable in sorted(source):
        near = difflib.get_close_matches(variable, known, n=1, cutoff=0.8)
        if variable.startswith("CCS_") and variable not in known and near:
            raise BadSetting(f"{variable} is no setting: did you mean {near[0]}?")


def _parse(variable: str, name: str, text: str) -> object:
    if name in _PATHS:
        return Path(text)
    if name in _NUMBERS:
        if not text.isdecimal():
            message = f"{variable} is {text!r}: expected a whole number"
            raise BadSetting(message)
        return int(text)
    if name in _FLAGS:
        if text.lower() not in _WORDS:
            message = f"{variable} is {text!r}: expected true or false"
            raise BadSetting(message)
        return _WORDS[text.lower()]
    return text


def second_factor_required(settings: Settings) -> bool:
    """Whether roles that approve money or see personal data must show a second factor here."""
    if settings.second_factor:
        return settings.second_factor == "required"
    return settings.secure_cookies


def beside(settings: Settings, place: int) -> Settings:
    """Give the `place`-th part of one process its own metrics port, when there are any."""
    port = settings.metrics_port
    return replace(settings, metrics_port=port + place) if port else settings


def with_secret(settings: Settings) -> Settings:
    """Refuse to seal forms with a key that everybody knows; a demo without TLS gets one for this start."""
    if settings.secret_key:
        return settings
    if settings.secure_cookies:
        raise BadSetting(
            "CCS_SECRET_KEY is not set: give at least 32 random characters, the same to every web process, e.g. from"
            " 'openssl rand -hex 32'. (A demo without TLS may set CCS_SECURE_COOKIES=false instead.)"
        )
    return replace(settings, secret_key=secrets.token_hex(32))
