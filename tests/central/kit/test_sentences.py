from __future__ import annotations

import json

from central.kit import i18n
from central.kit.sentences import packed, sentence, unpacked


def test_a_sentence_reads_in_english_and_is_said_in_another_language_after_it_was_kept() -> None:
    hint = sentence(" (did you mean %(word)s?)", word="rebar")
    one = sentence("the trade %(trade)s is unknown%(hint)s", trade="rebbar", hint=hint)
    assert one == "the trade rebbar is unknown (did you mean rebar?)"
    kept = json.loads(json.dumps(packed(one)))
    again = unpacked(kept)
    assert again == one
    assert i18n.said("en", again) == str(one)


def test_text_with_a_percent_sign_and_no_values_stays_as_it_is() -> None:
    assert sentence("100 % of it") == "100 % of it"
    assert unpacked(packed("100 % of it")) == "100 % of it"
    assert i18n.said("ko", "100 % of it") == "100 % of it"
