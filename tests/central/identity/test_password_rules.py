"""Passwords that are guessed early are refused, whatever disguise they come in; long ones of several words are not."""

from __future__ import annotations

import pytest

from central.identity.password_rules import PASSWORD_CHARS_MAX, check_password
from central.identity.passwords import Passwords
from central.kit.errors import Invalid

KIM = ("kim.chulsoo@hanbit.example", "김철수")


@pytest.mark.promise("ACC-02")
@pytest.mark.parametrize(
    "password",
    [
        "1234567890",
        "qwertyuiop",
        "password123",
        "p@ssw0rd2026!",
        "iloveyou1234",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "1q2w3e4r5t6y",
        "abcdefghijklm",
        "kimchulsoo1!",
        "hanbit2026hanbit",
        "construction2026",
        "김철수김철수김철수김철수",
    ],
)
def test_a_password_that_is_guessed_early_is_refused(password: str) -> None:
    """Mutant: ask for the length only."""
    with pytest.raises(Invalid, match="guessed early"):
        check_password(password, about=KIM)


@pytest.mark.parametrize("length", [0, 9, PASSWORD_CHARS_MAX + 1])
def test_one_that_is_too_short_or_too_long_is_refused_with_its_length(length: int) -> None:
    with pytest.raises(Invalid, match=f"has {length} characters"):
        check_password(("x7#Qm!w2V" * 30)[:length], about=KIM)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "x1Tq!82mPzW",
        "비 오는 날 굴착기 옆 국수",
        "lamp-orbit-cement-violin",
        "y" * 3 + "Kq7!zR" * 30,
    ],
)
def test_several_words_or_a_made_up_one_pass_as_they_are_typed(password: str) -> None:
    """No rule asks for kinds of characters, and nothing is cut off or changed before it is hashed."""
    check_password(password, about=KIM)
    made = Passwords()
    encoded = made.hash(password, about=KIM)
    assert made.matches(password, encoded)
    assert not made.matches(password[:-1], encoded)
    assert not made.matches(password.swapcase() if password.swapcase() != password else password + " ", encoded)
