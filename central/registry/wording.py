"""The registry's codes as words of the pages' languages."""

from __future__ import annotations

from central.kit import i18n
from central.registry.project_rules import boroughs


def say(message: str) -> str:
    """Mark a sentence for translation; `word` translates it."""
    return message


ORGANIZATION_KINDS = {
    "client": say("Client"),
    "prime": say("Prime contractor"),
    "sub": say("Subcontractor"),
    "supplier": say("Supplier"),
    "supervisor": say("Supervision firm"),
}
BAR_STATES = {"holds": say("Barred now"), "over": say("Over")}
PROJECT_STATES = {"running": say("Running"), "completed": say("Completed")}
TIERS = {"prime": say("Prime contractor"), "sub": say("Subcontractor"), "supplier": say("Supplier")}
ZONE_KINDS = {"area": say("Area"), "gate": say("Gate"), "muster": say("Muster point")}
LABOUR_KINDS = {"daily": say("Day labour"), "fixed": say("Fixed term"), "regular": say("Regular")}
WAGE_PERIODS = {"hour": say("Hour"), "day": say("Day"), "month": say("Month")}
CARD_KINDS = {"card": say("Card"), "mobile": say("Mobile card"), "temporary": say("Temporary card (30 days at most)")}
MOVED = {
    "employments": say("Employments"),
    "labour_contracts": say("Labour contracts"),
    "papers": say("Papers"),
    "bars": say("Bars"),
    "card_assignments": say("Cards"),
}
PASS_KINDS = {"visitor": say("Visitor"), "driver": say("Driver")}
CARD_EVENTS = {
    "issue": say("Given to somebody"),
    "lose": say("Lost"),
    "return": say("Returned"),
    "expire": say("Expired"),
    "replace": say("Replaced by another card"),
    "block": say("Blocked"),
    "find": say("Found again"),
    "unblock": say("Unblocked"),
}
WORKER_LANGUAGES = {
    "ko": "한국어",
    "en": "English",
    "zh": "中文",
    "vi": "Tiếng Việt",
    "th": "ไทย",
    "uz": "O'zbekcha",
    "mn": "Монгол",
    "km": "ភាសាខ្មែរ",
    "ne": "नेपाली",
    "id": "Bahasa Indonesia",
    "my": "မြန်မာဘာသာ",
    "ru": "Русский",
}
"""Languages of the workforce by their own names (DOMAIN §5.1)."""
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
SOUGHT = {
    "sites": say("Sites"),
    "projects": say("Projects"),
    "workers": say("Workers"),
    "organizations": say("Organizations"),
    "terminals": say("Terminals"),
    "cards": say("Cards"),
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


class Words(dict[str, str]):
    """Words by code; a code that has none stands for itself."""

    def __missing__(self, code: str) -> str:
        """Return the code."""
        return code


def words_of(language: str, words: dict[str, str]) -> Words:
    """Return every word of a table, for a list that says many of them."""
    return Words({code: i18n.gettext(language, one) for code, one in words.items()})


def borough(language: str, code: str | None) -> str:
    """Return a borough's name."""
    found = boroughs().get(code or "")
    return "" if found is None else found.ko if language == "ko" else found.en


def worker_languages(_: str) -> list[tuple[str, str]]:
    """Return the languages that a worker may be spoken to in, each by its own name."""
    return list(WORKER_LANGUAGES.items())
