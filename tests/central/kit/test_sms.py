from __future__ import annotations

from datetime import timedelta

import pytest

from central.kit.config import BadSetting, Settings
from central.kit.outbox import Message, SendDelayed, SendRefused
from central.kit.sms import HttpSms, Sms, dialled, fits, sms_of
from simulators.clocks import HandClock
from simulators.servers import free_port
from simulators.sms import SENDER, SmsGateway

PHONE = "010-1234-5678"


def gateway_of(gateway: SmsGateway, clock: HandClock) -> Sms:
    made = sms_of(Settings(database_url="", sms_url=gateway.url, sms_from=SENDER), clock=clock)
    assert made is not None
    return made


def text(to: str = PHONE) -> Message:
    return Message("0198", to, "", "[출퇴근] 확인번호 code 123456")


def test_a_text_is_taken_with_its_signature_and_its_korean(hand_clock: HandClock) -> None:
    with SmsGateway(clock=hand_clock) as gateway:
        gateway_of(gateway, hand_clock).send(text())
        (taken,) = gateway.texts
        assert (taken.to, taken.text) == ("01012345678", "[출퇴근] 확인번호 code 123456")
        assert gateway.codes("01012345678") == ["123456"]


def test_what_may_go_later_is_told_from_what_never_goes(hand_clock: HandClock) -> None:
    with SmsGateway(clock=hand_clock) as gateway:
        sms = gateway_of(gateway, hand_clock)
        for mood in ("busy", "broken", "hang_up_after_taking"):
            setattr(gateway.moods, mood, 1)
            with pytest.raises(SendDelayed):
                sms.send(text())
        gateway.moods.without_balance = True
        with pytest.raises(SendDelayed, match="NotEnoughBalance"):
            sms.send(text())
        gateway.moods.without_balance = False
        gateway.moods.unknown = {"01099990000"}
        with pytest.raises(SendRefused, match="ValidationError"):
            sms.send(text("010 9999 0000"))
        with pytest.raises(SendRefused, match="too short"):
            sms.send(text("1234"))
        sms.send(text())
        assert len(gateway.texts) == 2  # one of them was taken before its answer was lost


def test_our_own_mistakes_leave_the_text_waiting(hand_clock: HandClock) -> None:
    with SmsGateway(clock=hand_clock) as gateway:
        base = f"http://127.0.0.1:{gateway.port}"
        for wrong, said in (
            (HttpSms(base, "ANOTHER", "x", SENDER, hand_clock), "InvalidAPIKey"),
            (HttpSms(base, "NCSSIMULATED", "x", SENDER, hand_clock), "SignatureDoesNotMatch"),
        ):
            with pytest.raises(SendDelayed, match=said):
                wrong.send(text())
        late = HandClock(hand_clock.now() - timedelta(hours=1))
        with pytest.raises(SendDelayed, match="RequestTimeTooSkewed"):
            gateway_of(gateway, late).send(text())
    away = HttpSms(f"http://127.0.0.1:{free_port()}", "k", "s", SENDER, hand_clock, answer_s_max=2.0)
    with pytest.raises(SendDelayed, match="did not answer"):
        away.send(text())


def test_numbers_are_dialled_as_carriers_know_them() -> None:
    assert dialled("010-1234-5678") == dialled("+82 10 1234 5678") == dialled("821012345678") == "01012345678"
    assert dialled("02-123-4567") == "021234567"


def test_a_text_that_carriers_would_spoil_is_told_from_one_that_arrives() -> None:
    assert fits("가" * 45)
    assert not fits("가" * 46)
    assert not fits("ลงชื่อเข้าใช้")


def test_settings_that_cannot_work_are_named() -> None:
    assert sms_of(Settings(database_url="")) is None
    for url, sender, said in (
        ("smtp://k:s@x", SENDER, "https://KEY:SECRET@host"),
        ("https://x", SENDER, "no key and secret"),
        ("https://k:s@x", "", "CCS_SMS_FROM"),
    ):
        with pytest.raises(BadSetting, match=said):
            sms_of(Settings(database_url="", sms_url=url, sms_from=sender))
