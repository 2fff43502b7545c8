"""The way to the broker under TLS: a real Mosquitto that wants certificates, from an authority made here."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edge_agent.config import load_config
from edge_agent.main import broker_address
from edge_agent.transport.mqtt import BrokerAddress, reach
from simulators.listening_central import ListeningCentral
from simulators.processes import TerminalProgram, make_keys
from simulators.servers import MosquittoBroker, free_port, wait_until
from simulators.socket_card import hold_once

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.system,
    # The MQTT library leaves the socket of a failed handshake to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]

FROM = datetime(2020, 1, 1, tzinfo=UTC)
UNTIL = FROM + timedelta(days=365 * 30)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority of one's own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.cert = folder / "ca.pem"
        self.cert.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        return builder.serial_number(x509.random_serial_number()).not_valid_before(FROM).not_valid_after(UNTIL)

    def issue(self, name: str, *, address: str | None = None) -> Pair:
        """Sign a certificate, for a server when it has an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key())
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        pair.cert.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair


@pytest.fixture
def authority(server_folder: Path, tmp_path: Path) -> Authority:
    return Authority(server_folder / f"authority-{tmp_path.name}", "Site authority")


@dataclass(frozen=True)
class Guarded:
    """A broker with a plain door for central and one under TLS that asks terminals for their certificate."""

    plain: str
    tls_port: int

    def url(self, host: str = "127.0.0.1") -> str:
        return f"mqtts://{host}:{self.tls_port}"


@pytest.fixture
def broker(server_folder: Path, tmp_path: Path, authority: Authority) -> Iterator[Guarded]:
    server, port = authority.issue("broker", address="127.0.0.1"), free_port()
    lines = (
        f"listener {port} 127.0.0.1",
        f"cafile {authority.cert}",
        f"certfile {server.cert}",
        f"keyfile {server.key}",
        "require_certificate true",
        "allow_anonymous true",
    )
    mosquitto = MosquittoBroker(server_folder / f"tls-{tmp_path.name}", extra="\n".join(lines))
    mosquitto.start()
    yield Guarded(mosquitto.url, port)
    mosquitto.stop()


def test_a_terminal_with_a_certificate_of_the_sites_authority_sends_and_is_acknowledged(
    broker: Guarded, authority: Authority, tmp_path: Path
) -> None:
    own = authority.issue("site-07-gate-03")
    gate = TerminalProgram("site-07", "gate-03", tmp_path / "gate", broker.url(), make_keys(tmp_path / "keys"))
    config = gate.folder / "terminal.toml"
    files = f'ca_file = "{authority.cert}"\ncert_file = "{own.cert}"\nkey_file = "{own.key}"\n'
    config.write_text(config.read_text().replace("[mqtt]", f"[mqtt]\n{files}"))
    assert reach(broker_address(load_config(config))) is None
    with ListeningCentral(broker.plain) as central:
        gate.start()
        try:
            answer = hold_once(gate.reader("in").port, b"\x04\x01")
            assert answer.seq
            wait_until(lambda: answer.seq in central.held().events, what="the tap, over TLS")
        finally:
            gate.program.stop()


def why_not(broker: Guarded, ca: Path | None, own: Pair | None, *, host: str = "127.0.0.1") -> str:
    """What the doctor and the log say."""
    cert, key = (own.cert, own.key) if own is not None else (None, None)
    reason = reach(BrokerAddress(broker.url(host), "ccs-site-07-gate-03", ca, cert, key))
    assert reason is not None
    return reason


def test_a_broker_under_another_authority_is_not_spoken_to(
    broker: Guarded, authority: Authority, tmp_path: Path
) -> None:
    """Mutant: a context that does not verify."""
    other = Authority(tmp_path / "other", "Somebody else")
    reason = why_not(broker, other.cert, authority.issue("gate"))
    assert f"its certificate is not vouched for by mqtt.ca_file {other.cert}" in reason
    assert "is it our broker?" in reason
    assert "not vouched for by this machine's authorities" in why_not(broker, None, authority.issue("gate"))


def test_a_certificate_for_another_name_is_not_taken(broker: Guarded, authority: Authority) -> None:
    reason = why_not(broker, authority.cert, authority.issue("gate"), host="localhost")
    assert "its certificate is for another name" in reason
    assert "correct mqtt.url" in reason


def test_a_terminal_without_a_certificate_is_refused_and_told_what_to_set(
    broker: Guarded, authority: Authority
) -> None:
    reason = why_not(broker, authority.cert, None)
    assert "it may want a certificate of this terminal: set mqtt.cert_file and mqtt.key_file" in reason


def test_a_terminal_with_a_strangers_certificate_is_refused(
    broker: Guarded, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other", "Somebody else").issue("gate")
    reason = why_not(broker, authority.cert, stranger)
    assert f"does it know the authority that signed {stranger.cert}?" in reason


def test_files_that_cannot_be_used_are_named(broker: Guarded, authority: Authority, tmp_path: Path) -> None:
    own, another = authority.issue("gate"), authority.issue("another")
    missing = tmp_path / "missing.pem"
    assert f"mqtt.ca_file {missing} holds no usable certificate" in why_not(broker, missing, own)
    assert "No such file" in why_not(broker, missing, own)
    mixed = why_not(broker, authority.cert, Pair(own.cert, another.key))
    assert f"mqtt.cert_file {own.cert} and mqtt.key_file {another.key} cannot be used together" in mixed


def test_a_port_without_tls_is_not_mistaken_for_a_broken_network(broker: Guarded, authority: Authority) -> None:
    plain = Guarded(broker.plain, int(broker.plain.rsplit(":", 1)[1]))
    reason = why_not(plain, authority.cert, authority.issue("gate"))
    assert "does the broker speak TLS on this port?" in reason
