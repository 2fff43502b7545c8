"""What a worker's phone says when an address or a request is wrong: in the worker's language, in this view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from central.kit import i18n

pytestmark = pytest.mark.system


@pytest.mark.parametrize("language", list(i18n.PHONE_LANGUAGES))
def test_a_wrong_address_is_said_in_the_workers_language(phone: Callable[..., Any], language: str) -> None:
    said = i18n.translations(language).gettext
    for path in ("/me/nothing/here", "/me/months/2026-13/nothing", "/receipts"):
        answer = phone(language).get(path)
        assert answer.status_code == 404, path
        assert f'<html lang="{language}">' in answer.text
        assert f"<h1>{said('Not found')}</h1>" in answer.text
        assert said("There is nothing at this address.") in answer.text
        assert '<body class="own">' in answer.text
        assert "/sign-in?" not in answer.text, "the office's door is not shown to workers"


def test_what_cannot_be_used_is_refused_without_words_of_the_program(phone: Callable[..., Any]) -> None:
    hung = phone("vi")
    hung.ask("26-0001")
    answer = hung.client.post("/me/sign-in", data={"number": "26-0001"})
    assert answer.status_code == 403, "a form without its token"
    assert "Không thể dùng yêu cầu này" in answer.text
    assert "Hãy kiểm tra những gì bạn đã nhập rồi thử lại." in answer.text
    assert "token" not in answer.text.lower().replace("csrf_token", "")


def test_elsewhere_refusals_stay_as_they_are(phone: Callable[..., Any]) -> None:
    answer = phone("vi").get("/meadow")
    assert answer.status_code == 404
    assert '<html lang="ko">' in answer.text
