"""The registry's codes as words of the pages' languages."""

from __future__ import annotations

from central.kit import i18n
from central.registry.project_rules import boroughs


def say(message: str) -> str:
    """Mark a sentence for translation; `word` translates it."""
    return message


CARD_STATES = {
    "stock": say("Nobody's"),
    "issued": say("In use"),
    "lost": say("Lost"),
    "blocked": say("Blocked"),
    "replaced": say("Replaced"),
}
PAPER_KINDS = {
    "safety_certificate": say("Safety education certificate"),
    "visa": say("Visa"),
    "work_permit": say("Work permit"),
    "skill_grade": say("Skill grade"),
}
VALIDITY = {
    "coming": say("Not yet valid"),
    "valid": say("Valid"),
    "ending": say("Ends soon"),
    "over": say("Expired"),
    "withdrawn": say("Withdrawn"),
}
CONTRACT_KINDS = {
    "prime": say("Prime contract"),
    "supervision": say("Supervision"),
    "sub": say("Subcontract"),
    "equipment": say("Equipment"),
    "material": say("Material"),
}
FINDINGS = {
    "lower_exceed": say("The contracts below sum to more than its own amount."),
    "above_not_in_force": say("The contract above it is not in force."),
    "larger_than_above": say("It is larger than the contract above it."),
    "outside_period": say("Its period leaves that of the contract above it."),
    "subcontracted_again": say("Subcontracted again: the client's written consent belongs to the record."),
    "parallel_prime": say("Another prime contract is for the same work in the same time: a joint venture?"),
}
MODES = {"long_term": say("Long-term mode"), "short_term": say("Short-term mode")}
ENDED = {
    "lost": say("Lost"),
    "replaced": say("Replaced"),
    "returned": say("Returned"),
    "blocked": say("Blocked"),
    "expired": say("Expired"),
}
CLASSIFICATIONS = {
    "road": say("Road"),
    "water": say("Water"),
    "public_building": say("Public building"),
    "park": say("Park"),
    "urban_rail": say("Urban rail"),
    "other": say("Other"),
}


def word(language: str, words: dict[str, str], code: str | None) -> str:
    """Return the word for a code; the code itself when it has none, nothing for None."""
    return "" if code is None else i18n.gettext(language, words[code]) if code in words else code


def borough(language: str, code: str | None) -> str:
    """Return a borough's name."""
    found = boroughs().get(code or "")
    return "" if found is None else found.ko if language == "ko" else found.en
