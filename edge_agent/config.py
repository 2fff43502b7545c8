"""A terminal's configuration file: TOML, read and validated once at start.

A mistake is answered with a sentence that names the file, the key, what was found and what is expected, and the key
that was probably meant.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from edge_agent.wire.messages import Code, Direction

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EXIT_FAILED = 1
EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: a file was read and is wrong. The service manager does not start the agent again before
somebody mends it; after any other failure it does."""
CARD_KEY_BYTES = 32
CONFIG_BYTES_MAX = 256 * 1024
MEBIBYTE = 1024 * 1024

Port = Annotated[int, Meta(ge=1, le=65535)]
Name = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9._-]+$")]
Label = Annotated[str, Meta(min_length=1, max_length=80)]
Zone = Annotated[str, Meta(max_length=40)]
TimeZone = Annotated[str, Meta(min_length=1, max_length=64, description="IANA name")]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$")]
MqttUrl = Annotated[str, Meta(pattern=r"^mqtts?://[^/\s]+$", description="mqtt://host:port or mqtts://host:port")]
PathText = Annotated[str, Meta(min_length=1, max_length=500, description="relative paths start at this file's folder")]


class TerminalSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who this terminal is. `site` and `code` are the codes that central knows it by."""

    site: Code
    code: Code
    data_dir: PathText
    name: Label = "Terminal"
    zone: Zone = ""
    time_zone: TimeZone = "Asia/Seoul"
    """The site's, for every time that people read on the screen."""


class ReaderSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One reader. Direction is the reader's own: what a card held to it means."""

    name: Name
    driver: Literal["pcsc", "nfc", "socket"]
    direction: Direction
    address: Annotated[str, Meta(max_length=200)] = ""
    zone: Zone = ""
    """Empty: the terminal's."""


class MqttSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where to send, and how to prove who we are. Unreachable is fine: the terminal works and keeps."""

    url: MqttUrl
    ca_file: PathText | None = None
    cert_file: PathText | None = None
    key_file: PathText | None = None
    username: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    password_file: PathText | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    heartbeat_s: Annotated[int, Meta(ge=1, le=300)] = 15


class JournalSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How much the journal may hold. `reserve_bytes` of `bytes_max` are kept for muster entries."""

    keep_days: Annotated[int, Meta(ge=1, le=400)] = 35
    bytes_max: Annotated[int, Meta(ge=MEBIBYTE)] = 2048 * MEBIBYTE
    reserve_bytes: Annotated[int, Meta(ge=64 * 1024)] = 4 * MEBIBYTE


class KioskSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The terminal's screen, served on this machine."""

    host: Annotated[str, Meta(min_length=1, max_length=200)] = "127.0.0.1"
    port: Port = 8080
    languages: Annotated[tuple[Language, ...], Meta(min_length=1, max_length=20)] = ("ko", "en")
    sound: bool = True


class KeySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The system key for card tokens, central's public key for signed messages, the site's card keys."""

    card_key_file: PathText
    central_public_key_file: PathText | None = None
    """Without it every roster is refused, and every card is unknown: amber, and kept."""
    site_keys_file: PathText | None = None
    """The site's master keys, with which cards are asked to prove themselves; without it assurance is 0."""


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """A terminal file. Absent `kiosk` means no screen is served."""

    terminal: TerminalSettings
    mqtt: MqttSettings
    keys: KeySettings
    readers: Annotated[tuple[ReaderSettings, ...], Meta(min_length=1, max_length=8)]
    journal: JournalSettings = JournalSettings()
    kiosk: KioskSettings | None = None
    log: LogSettings = LogSettings()


class BadConfig(ValueError):
    """A configuration file cannot be used; the message names file, key, found and expected."""


class FileUnreadable(OSError):
    """A file that the terminal needs cannot be read at this moment; the message names file, key and what to do.

    No `BadConfig`: a disk that errs at boot or a folder that is not mounted yet passes, and the agent is tried again.
    """


class Config:
    """Validated settings, the folder that relative paths start from, and the hash of the file as it was read."""

    def __init__(self, path: Path, settings: Settings, digest: str) -> None:
        self.path = path
        self.settings = settings
        self.digest = digest

    def resolve(self, name: str) -> Path:
        """Turn a configured path into a real one; relative ones start at the configuration file's folder."""
        return (self.path.parent / Path(name).expanduser()).resolve()

    @property
    def data_dir(self) -> Path:
        """Where the journal and the roster live."""
        return self.resolve(self.settings.terminal.data_dir)

    def zone_of(self, reader: ReaderSettings) -> str:
        """Name the zone that a reader's taps belong to."""
        return reader.zone or self.settings.terminal.zone


def load_config(path: Path) -> Config:
    """Read and validate a terminal file; raise `BadConfig` or `FileUnreadable`."""
    try:
        raw = path.read_bytes()
    except OSError as exc:
        remedy = "give the path of a terminal file, and let the agent's user read it"
        raise FileUnreadable(f"{path}: cannot be read ({exc.strerror}): {remedy}") from exc
    if len(raw) > CONFIG_BYTES_MAX:
        raise BadConfig(f"{path}: has {len(raw)} bytes, expected at most {CONFIG_BYTES_MAX}")
    try:
        table = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise BadConfig(f"{path}: is not TOML: {exc}") from exc
    settings = parse_settings(table, source=str(path))
    return Config(path.resolve(), settings, hashlib.sha256(raw).hexdigest())


def parse_settings(table: dict[str, Any], *, source: str) -> Settings:
    """Validate a decoded terminal file; raise `BadConfig` beginning with `source`."""
    _check_keys(table, Settings, source, "")
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as exc:
        raise BadConfig(_explain(exc, table, source)) from exc
    _check_sense(settings, source)
    return settings


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a terminal file, as it stands in firmware_configs/schema."""
    schema = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Settings)))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Terminal configuration", **schema}


def load_card_key(path: Path) -> bytes:
    """Read the system key for card tokens: 32 bytes as hex. Raise `BadConfig` or `FileUnreadable`."""
    text = _read_text(path, "keys.card_key_file")
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != CARD_KEY_BYTES:
        expected = f"expected {CARD_KEY_BYTES} bytes as {2 * CARD_KEY_BYTES} hex digits"
        raise BadConfig(f"{path}: keys.card_key_file: found {len(text.strip())} characters, {expected}")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Read central's public key (PEM, Ed25519). Raise `BadConfig` or `FileUnreadable`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    text = _read_text(path, "keys.central_public_key_file")
    try:
        key = load_pem_public_key(text.encode())
    except ValueError as exc:
        raise BadConfig(f"{path}: keys.central_public_key_file: found no PEM public key, expected Ed25519") from exc
    if not isinstance(key, Ed25519PublicKey):
        found = type(key).__name__
        raise BadConfig(f"{path}: keys.central_public_key_file: found {found}, expected an Ed25519 public key")
    return key


def read_named(path: Path, key: str) -> bytes:
    """Read the file that the configuration names under `key`; raise `FileUnreadable`."""
    try:
        return path.read_bytes()
    except OSError as exc:
        remedy = "create it, let the agent's user read it, or correct the path"
        raise FileUnreadable(f"{path}: {key}: cannot be read ({exc.strerror}): {remedy}") from exc


def _read_text(path: Path, key: str) -> str:
    try:
        return read_named(path, key).decode()
    except UnicodeDecodeError as exc:
        raise BadConfig(f"{path}: {key}: is not text, expected the file that belongs there") from exc


def _struct_in(annotation: object) -> tuple[type[Struct] | None, bool]:
    """Find the Struct inside an annotation, and whether it stands in a list."""
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return annotation, False
    for argument in get_args(annotation):
        found, listed = _struct_in(argument)
        if found is not None:
            return found, listed or "tuple" in str(annotation)
    return None, False


def _check_keys(table: dict[str, Any], kind: type[Struct], source: str, prefix: str) -> None:
    fields = get_type_hints(kind, include_extras=True)
    for key, value in table.items():
        if key not in fields:
            raise BadConfig(_unknown_key(source, prefix + key, key, list(fields)))
        inner, listed = _struct_in(fields[key])
        if inner is None:
            continue
        if listed and isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    _check_keys(item, inner, source, f"{prefix}{key}[{number}].")
        elif isinstance(value, dict):
            _check_keys(value, inner, source, f"{prefix}{key}.")


def _unknown_key(source: str, where: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{source}: {where}: found an unknown key; {hint}expected one of {', '.join(known)}"


_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `([^`]+)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def _explain(exc: msgspec.ValidationError, table: dict[str, Any], source: str) -> str:
    found = _PATH.match(str(exc))
    what, path = (found["what"], found["path"] or "") if found else (str(exc), "")
    missing = _MISSING.search(what)
    if missing:
        where = f"{path}.{missing[1]}".lstrip(".")
        return f"{source}: {where}: found nothing, expected this key (it is required)"
    value: Any = table
    for name, index in _STEP.findall(path):
        value = value[int(index)] if index else value[name]
    return f"{source}: {path.lstrip('.')}: found {value!r}, expected {_expectation(what, path)}"


def _expectation(what: str, path: str) -> str:
    choices = _choices(path)
    if choices:
        return "one of " + ", ".join(choices)
    text = what.removeprefix("Expected ")
    return text.split(", got ", maxsplit=1)[0]


def _choices(path: str) -> tuple[str, ...]:
    """Return the words that the setting at a path may be, when it is a choice of words."""
    kind: type[Struct] | None = Settings
    for name, _ in _STEP.findall(path):
        if not name or kind is None:
            continue
        annotation = get_type_hints(kind, include_extras=True).get(name)
        words = get_args(annotation)
        if words and all(isinstance(word, str) for word in words):
            return words
        kind, _ = _struct_in(annotation)
    return ()


def _check_sense(settings: Settings, source: str) -> None:
    zone = settings.terminal.time_zone
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError) as exc:  # the last: a part of a name, such as Asia
        expected = "expected an IANA name such as Asia/Seoul"
        raise BadConfig(f"{source}: terminal.time_zone: found {zone!r}, {expected}") from exc
    _check_readers(settings.readers, source)
    kiosk = settings.kiosk
    if kiosk is not None and kiosk.host != "localhost" and not kiosk.host.startswith("127."):
        expected = "expected 127.0.0.1: the page names who is inside, and asks nobody who they are"
        raise BadConfig(f"{source}: kiosk.host: found {kiosk.host!r}, {expected}")
    journal = settings.journal
    if journal.reserve_bytes * 2 > journal.bytes_max:
        found = f"found {journal.reserve_bytes}"
        raise BadConfig(f"{source}: journal.reserve_bytes: {found}, expected at most half of bytes_max")
    mqtt = settings.mqtt
    if (mqtt.cert_file is None) != (mqtt.key_file is None):
        missing = "key_file" if mqtt.key_file is None else "cert_file"
        raise BadConfig(f"{source}: mqtt.{missing}: found nothing, expected it beside the other of cert_file, key_file")
    if mqtt.url.startswith("mqtt://") and (mqtt.ca_file or mqtt.cert_file):
        raise BadConfig(f"{source}: mqtt.url: found {mqtt.url!r} with certificates, expected mqtts://")


def _check_readers(readers: tuple[ReaderSettings, ...], source: str) -> None:
    """Refuse two readers of one name, and two that may turn out to be one device: each card would be read twice."""
    for number, one in enumerate(readers):
        for other in readers[:number]:
            if one.name == other.name:
                where = f"readers[{number}].name: found {one.name!r} again"
                raise BadConfig(f"{source}: {where}, expected a name used once")
            if one.driver == other.driver and _may_be_one(one, other):
                found = f"found {one.address!r}, which may be reader {other.name!r} ({other.address!r}) as well"
                expected = "expected an address of this reader alone; for two of one model use another driver for one"
                raise BadConfig(f"{source}: readers[{number}].address: {found}, {expected}")


def _may_be_one(one: ReaderSettings, other: ReaderSettings) -> bool:
    """Whether two addresses of one driver can name the same device."""
    if one.driver == "pcsc":  # a part of the reader's name
        return one.address in other.address or other.address in one.address
    if one.driver == "nfc":  # usb, usb:054c, usb:054c:06c3: the shorter names all that begin with it
        parts = zip(one.address.casefold().split(":"), other.address.casefold().split(":"), strict=False)
        return all(left == right for left, right in parts)
    return one.address == other.address
