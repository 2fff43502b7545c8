from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import Engine

from central.kit import outbox
from central.kit.config import BadSetting, Settings, second_factor_required
from central.kit.db import write_session
from central.kit.mail import MAIL, Mail, mail_of
from central.kit.outbox import prune_outgoing, relay, retry_after, send_later
from central.kit.sealed import NoDataKey, NotOurSeal, Seal
from central.scheduler import Scheduler, all_jobs
from simulators.clocks import HandClock
from simulators.servers import free_port
from simulators.smtp import SmtpServer

SEAL = Seal(b"k" * 32)
WHO = "kim@example.test"


def smtp(url: str) -> Mail:
    mail = mail_of(Settings(database_url="", smtp_url=url, mail_from="ccs@city.example"))
    assert mail is not None
    return mail


def put(engine: Engine, clock: HandClock, *, to: str = WHO, life: timedelta | None = None) -> str:
    now = clock.now()
    with write_session(engine) as session:
        return send_later(
            session,
            SEAL,
            channel=MAIL,
            recipient=to,
            subject="초대 Invitation",
            body="여기 https://ccs.example/invitation/abc\n.dot\n",
            now=now,
            useless_at=now + life if life else None,
        )


def run(engine: Engine, clock: HandClock, mail: Mail) -> dict[str, int]:
    return relay(engine, SEAL, channel=MAIL, send=mail.send, now=clock.now())


def test_a_mail_goes_once_and_its_words_are_gone_from_the_database(
    central_engine: Engine, hand_clock: HandClock, database_url: str
) -> None:
    name = put(central_engine, hand_clock)
    with psycopg.connect(database_url) as connection:
        (kept,) = connection.execute("SELECT body FROM kit_outgoing").fetchone() or (b"",)
    assert b"abc" not in kept
    with SmtpServer() as server:
        mail = smtp(server.url)
        assert run(central_engine, hand_clock, mail) == {"sent": 1}
        assert run(central_engine, hand_clock, mail) == {}
        (taken,) = server.mails
        assert name in str(taken["Message-ID"])
        assert str(taken["Subject"]) == "초대 Invitation"
        assert ".dot" in taken.get_content()
        assert server.links(WHO) == ["https://ccs.example/invitation/abc"]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT recipient, body FROM kit_outgoing").fetchone() == ("", b"")
    with write_session(central_engine) as session:
        assert prune_outgoing(session, now=hand_clock.now() + timedelta(days=89)) == 0
        assert prune_outgoing(session, now=hand_clock.now() + timedelta(days=91)) == 1


def test_a_busy_server_is_tried_again_and_an_unknown_mailbox_is_not(
    central_engine: Engine, hand_clock: HandClock, database_url: str
) -> None:
    put(central_engine, hand_clock)
    with SmtpServer() as server:
        mail = smtp(server.url)
        server.moods.busy, server.moods.unknown = 1, {"nobody@example.test"}
        assert run(central_engine, hand_clock, mail) == {"delayed": 1}
        put(central_engine, hand_clock, to="nobody@example.test")
        assert run(central_engine, hand_clock, mail) == {"given_up": 1}
        assert run(central_engine, hand_clock, mail) == {}
        hand_clock.move(retry_after(1))
        assert run(central_engine, hand_clock, mail) == {"sent": 1}
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT error, recipient FROM kit_outgoing WHERE failed_at IS NOT NULL").fetchall()
    assert rows == [("550 no such mailbox", "")]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A mail server's TLS, and the authority's certificate that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.city.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2090, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = tmp_path / "mail.crt", tmp_path / "mail.key"
    file.write_bytes(made.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return context, file


@pytest.mark.parametrize("known", [True, False])
def test_under_starttls_a_mail_goes_to_a_server_that_proves_itself_and_never_in_clear(
    central_engine: Engine,
    hand_clock: HandClock,
    certificate: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
    *,
    known: bool,
) -> None:
    """Mutant: go on without TLS, or without checking the certificate."""
    context, authority = certificate
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    put(central_engine, hand_clock)
    with SmtpServer(tls=context) as server:
        done = run(central_engine, hand_clock, smtp(f"smtp+starttls://127.0.0.1:{server.port}"))
        assert done == ({"sent": 1} if known else {"delayed": 1})
        assert len(server.mails) == (1 if known else 0)
        assert server.mails_in_clear == 0


def test_a_server_that_does_not_offer_starttls_gets_no_mail(central_engine: Engine, hand_clock: HandClock) -> None:
    put(central_engine, hand_clock)
    with SmtpServer() as server:
        assert run(central_engine, hand_clock, smtp(f"smtp+starttls://127.0.0.1:{server.port}")) == {"delayed": 1}
        assert server.mails == []


def test_what_may_have_gone_goes_again_under_the_same_name(central_engine: Engine, hand_clock: HandClock) -> None:
    put(central_engine, hand_clock)
    with SmtpServer() as server:
        mail = smtp(server.url)
        server.moods.hang_up_after_data = 1
        assert run(central_engine, hand_clock, mail) == {"delayed": 1}
        hand_clock.move(retry_after(1))
        assert run(central_engine, hand_clock, mail) == {"sent": 1}
        first, second = server.mails
        assert first["Message-ID"] == second["Message-ID"]


def test_a_relay_that_died_leaves_its_mail_to_the_next(central_engine: Engine, hand_clock: HandClock) -> None:
    put(central_engine, hand_clock)

    def die(_: outbox.Message) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        relay(central_engine, SEAL, channel=MAIL, send=die, now=hand_clock.now())
    with SmtpServer() as server:
        mail = smtp(server.url)
        assert run(central_engine, hand_clock, mail) == {}
        hand_clock.move(outbox.LEASE)
        assert run(central_engine, hand_clock, mail) == {"sent": 1}


def test_a_server_that_is_away_is_given_up_in_the_end_and_a_dead_link_is_not_sent(
    central_engine: Engine, hand_clock: HandClock
) -> None:
    put(central_engine, hand_clock)
    put(central_engine, hand_clock, life=timedelta(seconds=20))
    mail = smtp(f"smtp://127.0.0.1:{free_port()}")
    hand_clock.move(timedelta(seconds=30))
    assert run(central_engine, hand_clock, mail) == {"delayed": 1, "given_up": 1}
    outcomes = []
    for _ in range(outbox.ATTEMPTS_MAX - 1):
        hand_clock.move(outbox.RETRY_MAX)
        outcomes.append(run(central_engine, hand_clock, mail))
    assert outcomes[:-1] == [{"delayed": 1}] * (outbox.ATTEMPTS_MAX - 2)
    assert outcomes[-1] == {"given_up": 1}


def test_a_seal_opens_only_where_it_was_closed_and_with_its_key() -> None:
    sealed = SEAL.close(b"secret", about="totp:1")
    assert SEAL.open(sealed, about="totp:1") == b"secret"
    assert SEAL.close(b"secret", about="totp:1") != sealed
    for seal, about in ((SEAL, "totp:2"), (Seal(b"x" * 32), "totp:1")):
        with pytest.raises(NotOurSeal, match="CCS_DATA_KEY_FILE"):
            seal.open(sealed, about=about)
    with pytest.raises(NoDataKey):
        Seal(None).close(b"x", about="y")


def test_mail_settings_that_cannot_work_are_named() -> None:
    assert mail_of(Settings(database_url="")) is None
    for url, sender, said in (("imap://x", "a@b", "smtp\\+starttls"), ("smtp://x", "", "CCS_MAIL_FROM")):
        with pytest.raises(BadSetting, match=said):
            mail_of(Settings(database_url="", smtp_url=url, mail_from=sender))


def test_a_second_factor_is_required_where_cookies_are_secure_unless_told_otherwise() -> None:
    def required(*, word: str = "", secure: bool = True) -> bool:
        return second_factor_required(Settings(database_url="", second_factor=word, secure_cookies=secure))

    assert required()
    assert not required(secure=False)
    assert not required(word="offered")
    assert required(word="required", secure=False)


def test_the_scheduler_sends_what_is_due_and_keeps_what_it_cannot_open(
    central_engine: Engine, hand_clock: HandClock, database_url: str, tmp_path: Path
) -> None:
    (mail_job,) = [job for job in all_jobs() if job.name == "mail"]
    put(central_engine, hand_clock)
    with SmtpServer() as server:
        for key in ("78" * 32, "6b" * 32):  # another installation's key, then ours
            (tmp_path / "data.key").write_text(key)
            settings = Settings(
                database_url=database_url,
                smtp_url=server.url,
                mail_from="ccs@city.example",
                data_key_file=tmp_path / "data.key",
            )
            assert Scheduler(settings, clock=hand_clock).run_job(mail_job)
            assert len(server.mails) == (key == "6b" * 32)
            hand_clock.move(retry_after(1))
