"""A terminal's file: what it may say, and the sentence for each thing it may not."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_agent.config import (
    BadConfig,
    FileUnreadable,
    json_schema,
    load_card_key,
    load_config,
    load_public_key,
    parse_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware_configs"
TERMINALS = sorted((FIRMWARE / "terminals").glob("*.toml"))

GOOD = """
[terminal]
site = "site-07"
code = "gate-01"
data_dir = "data"

[mqtt]
url = "mqtt://127.0.0.1:1883"

[keys]
card_key_file = "card.key"

[journal]
keep_days = 35

[kiosk]
port = 8080
languages = ["ko", "vi"]

[[readers]]
name = "r1"
driver = "socket"
address = "127.0.0.1:7401"
direction = "in"
"""

MISTAKES = [
    ('direction = "in"', 'directoin = "in"', "readers[0].directoin: found an unknown key; did you mean 'direction'?"),
    ("[journal]", "[jurnal]", "jurnal: found an unknown key; did you mean 'journal'?"),
    (
        'direction = "in"',
        'direction = "inn"',
        "readers[0].direction: found 'inn', expected one of in, out, tap, muster",
    ),
    ('driver = "socket"', 'driver = "usb"', "readers[0].driver: found 'usb', expected one of pcsc, nfc, socket"),
    ('site = "site-07"\n', "", "terminal.site: found nothing, expected this key (it is required)"),
    ('site = "site-07"', "site = 7", "terminal.site: found 7, expected `str`"),
    ('code = "gate-01"', 'code = "Gate 1"', "terminal.code: found 'Gate 1', expected"),
    ("port = 8080", "port = 80800", "kiosk.port: found 80800, expected"),
    ("port = 8080", 'port = "8080"', "kiosk.port: found '8080', expected `int`"),
    (
        "port = 8080",
        'host = "0.0.0.0"',
        "kiosk.host: found '0.0.0.0', expected 127.0.0.1: the page names who is inside",
    ),
    ("keep_days = 35", "keep_days = 0", "journal.keep_days: found 0, expected"),
    ("keep_days = 35", "keep_days = 35\nbytes_max = 2000000\nreserve_bytes = 1500000", "journal.reserve_bytes: found"),
    ('url = "mqtt://127.0.0.1:1883"', 'url = "127.0.0.1"', "mqtt.url: found '127.0.0.1', expected"),
    ('url = "mqtt://127.0.0.1:1883"', 'url = "mqtts://b"\ncert_file = "c.pem"', "mqtt.key_file: found nothing"),
    ('url = "mqtt://127.0.0.1:1883"', 'url = "mqtt://b"\nca_file = "ca.pem"', "mqtt.url: found 'mqtt://b' with cert"),
    ('data_dir = "data"', 'data_dir = "data"\ntime_zone = "Seoul"', "terminal.time_zone: found 'Seoul', expected an"),
    ('data_dir = "data"', 'data_dir = "data"\ntime_zone = "Asia"', "terminal.time_zone: found 'Asia', expected an"),
    ("[[readers]]", "[readers]", "readers: found {'name': 'r1'"),
    (
        'direction = "in"',
        'direction = "in"\n[[readers]]\nname = "r1"\ndriver = "nfc"\ndirection = "out"',
        "found 'r1' again",
    ),
]


@pytest.mark.parametrize(("found", "written", "sentence"), MISTAKES, ids=[one[1][-40:] for one in MISTAKES])
def test_a_mistake_is_named_with_file_key_found_and_expected(found: str, written: str, sentence: str) -> None:
    assert found in GOOD
    with pytest.raises(BadConfig) as refusal:
        parse_settings(tomllib.loads(GOOD.replace(found, written)), source="gate.toml")
    assert str(refusal.value).startswith("gate.toml: ")
    assert sentence in str(refusal.value)


READER = '[[readers]]\nname = "{name}"\ndriver = "{driver}"\naddress = "{address}"\ndirection = "{direction}"\n'


def with_readers(driver: str, first: str, second: str) -> str:
    """The file with an entry and an exit reader of a driver, at these addresses."""
    head = GOOD[: GOOD.index("[[readers]]")]
    pair = (("r1", first, "in"), ("r2", second, "out"))
    return head + "".join(
        READER.format(name=name, driver=driver, address=address, direction=direction)
        for name, address, direction in pair
    )


@pytest.mark.parametrize(
    ("driver", "first", "second"),
    [
        ("pcsc", "ACS ACR122U", "ACS ACR122U"),
        ("pcsc", "ACS ACR122U PICC Interface 01 00", "ACS ACR122U"),
        ("pcsc", "", "ACS ACR122U"),
        ("nfc", "usb:054c:06c3", "usb:054C:06C3"),
        ("nfc", "usb", "usb:054c:06c3"),
        ("nfc", "tty:USB0:pn532", "tty:USB0"),
        ("socket", "127.0.0.1:7401", "127.0.0.1:7401"),
    ],
)
def test_two_readers_that_may_be_one_device_are_refused(driver: str, first: str, second: str) -> None:
    """Each card would be an entry and an exit, or the two would swap. Mutant: only names are compared."""
    with pytest.raises(
        BadConfig, match=r"readers\[1\]\.address: found '.*', which may be reader 'r1' \('.*'\) as well"
    ):
        parse_settings(tomllib.loads(with_readers(driver, first, second)), source="gate.toml")


@pytest.mark.parametrize(
    ("driver", "first", "second"),
    [
        ("pcsc", "ACS ACR122U PICC Interface 00 00", "ACS ACR122U PICC Interface 01 00"),
        ("pcsc", "ACR122U", "ACR1252"),
        ("nfc", "usb:054c:06c1", "usb:054c:06c3"),
        ("nfc", "tty:USB0:pn532", "tty:USB1:pn532"),
        ("socket", "127.0.0.1:7401", "127.0.0.1:7402"),
    ],
)
def test_two_readers_that_are_two_devices_are_taken(driver: str, first: str, second: str) -> None:
    settings = parse_settings(tomllib.loads(with_readers(driver, first, second)), source="gate.toml")
    assert [one.address for one in settings.readers] == [first, second]


def test_defaults_are_the_ones_of_the_field() -> None:
    settings = parse_settings(tomllib.loads(GOOD), source="gate.toml")
    assert settings.mqtt.heartbeat_s == 15
    assert settings.journal.keep_days == 35
    assert settings.terminal.time_zone == "Asia/Seoul"


def test_paths_start_at_the_files_folder_and_a_reader_without_zone_takes_the_terminals(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(GOOD.replace('data_dir = "data"', 'data_dir = "data"\nzone = "north"'))
    config = load_config(file)
    assert config.data_dir == tmp_path / "data"
    assert config.zone_of(config.settings.readers[0]) == "north"
    assert len(config.digest) == 64


def test_a_file_that_is_missing_or_no_toml_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=r"gate\.toml: cannot be read \(No such file"):
        load_config(tmp_path / "gate.toml")
    (tmp_path / "gate.toml").write_text("[terminal\n")
    with pytest.raises(BadConfig, match=r"gate\.toml: is not TOML: .*line 1"):
        load_config(tmp_path / "gate.toml")


def test_a_card_key_of_another_length_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "card.key"
    key.write_text("ab" * 32 + "\n")
    assert load_card_key(key) == b"\xab" * 32
    key.write_text("ab" * 31)
    with pytest.raises(BadConfig, match=r"found 62 characters, expected 32 bytes as 64 hex digits"):
        load_card_key(key)


@pytest.mark.parametrize("load", [load_card_key, load_public_key])
def test_a_key_that_cannot_be_read_may_be_there_in_a_moment_and_one_that_is_no_text_never_is(
    tmp_path: Path, load: Callable[[Path], object]
) -> None:
    """Mutant: both are a bad configuration, after which nobody starts the terminal again."""
    with pytest.raises(
        FileUnreadable, match=r"absent: keys\..*_file: cannot be read \(No such file or directory\): create it"
    ):
        load(tmp_path / "absent")
    with pytest.raises(FileUnreadable, match="Is a directory"):
        load(tmp_path)
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadConfig, match="is not text"):
        load(tmp_path / "key")


def test_a_public_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "central.pem"
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(BadConfig, match="found ECPublicKey, expected an Ed25519 public key"):
        load_public_key(key)


@pytest.mark.parametrize("path", TERMINALS, ids=[path.stem for path in TERMINALS])
def test_the_published_terminal_files_are_valid_for_the_agent_and_for_the_schema(path: Path) -> None:
    load_config(path)
    schema = json.loads((FIRMWARE / "schema" / "terminal.schema.json").read_text())
    jsonschema.validate(tomllib.loads(path.read_text()), schema)


def test_the_published_schema_is_the_one_the_agent_checks_with() -> None:
    published = json.loads((FIRMWARE / "schema" / "terminal.schema.json").read_text())
    assert published == json_schema(), (
        "run: python -m edge_agent config-schema > firmware_configs/schema/terminal.schema.json"
    )
