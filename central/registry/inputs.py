"""The inputs of the registry's forms, as data. Options are in the asker's language, labels translated when shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.kit.forms import Input, say
from central.registry import contract_rules, project_rules, record_rules, rules, wording

if TYPE_CHECKING:
    from collections.abc import Iterable

Inputs = tuple[Input, ...]
Options = list[tuple[str, str]]
_LAST_DAY = say("First day after it; leave it empty while it lasts.")
_EMPLOYER_HINT = say("Name or business number of an employer that works on the site.")


def options(language: str, words: dict[str, str], codes: Iterable[str] | None = None) -> Options:
    """Return codes with their words."""
    return [(code, wording.word(language, words, code)) for code in (words if codes is None else codes)]


def trades(language: str) -> Options:
    """Return every trade with its name."""
    return [(one.code, one.ko if language == "ko" else one.en) for one in rules.trades().values()]


def organization(language: str) -> Inputs:
    """Return an organization's facts."""
    kinds = options(language, wording.ORGANIZATION_KINDS, rules.ORGANIZATION_KINDS)
    hint = say("Ten digits, as on the certificate: 124-81-00998. A public body may have none.")
    return (
        Input("name", say("Name"), needed=True),
        Input("kind", say("Kind"), "select", needed=True, options=kinds),
        Input("business_no", say("Business number"), hint=hint, chars_max=20, blank="null"),
    )


def project(language: str, *, new: bool) -> Inputs:
    """Return a project's facts; code and client are asked once."""
    kinds = options(language, wording.CLASSIFICATIONS, project_rules.CLASSIFICATIONS)
    code_hint = say("Lower-case letters, digits and hyphens; it stays for ever.")
    once = (
        Input("code", say("Code"), needed=True, hint=code_hint, chars_max=40),
        Input("client", say("Client"), needed=True, hint=say("Name or business number of the ordering body.")),
    )
    return (
        *(once if new else ()),
        Input("name", say("Name"), needed=True),
        Input("classification", say("Kind of work"), "select", options=kinds, blank="null"),
        Input("purpose", say("Purpose"), "area", chars_max=1_000, blank="text"),
        Input("budget_won", say("Budget (won)"), "won", chars_max=20, blank="null"),
        Input(
            "bid_notice_on",
            say("First bid notice"),
            "date",
            hint=say("Decides the daily retirement deduction and which dated rules hold."),
            blank="null",
        ),
        Input("begins_on", say("Begin of the work"), "date", blank="null"),
        Input("ends_on", say("Planned completion"), "date", blank="null"),
        Input(
            "completed_on",
            say("Completed on"),
            "date",
            hint=say("From this day on nothing new is registered in it."),
            blank="null",
        ),
        Input("address", say("Address"), chars_max=300, blank="text"),
        Input("latitude", say("Latitude"), "decimal", hint=say("Degrees, like 37.4837."), chars_max=20, blank="null"),
        Input(
            "longitude", say("Longitude"), "decimal", hint=say("Degrees, like 126.9786."), chars_max=20, blank="null"
        ),
    )


def terms(*, changed: bool) -> Inputs:
    """Return what is agreed in a contract."""
    hint = say("From when these terms hold; the day of signing when it is empty.")
    why = say("A design change, an extension, a price adjustment, a correction.")
    return (
        Input("amount_won", say("Amount (won)"), "won", needed=True, chars_max=24),
        Input("begins_on", say("Begin of the work"), "date", needed=True),
        Input("ends_on", say("Last day of the work"), "date", needed=True),
        Input("signed_on", say("Signed on"), "date"),
        Input("effective_on", say("Holds from"), "date", hint=hint),
        *((Input("reason", say("Why the terms change"), needed=True, hint=why, chars_max=300),) if changed else ()),
    )


def contract(language: str, *, below: bool) -> Inputs:
    """Return a new contract's facts with its first terms."""
    kinds = contract_rules.LOWER_KINDS if below else contract_rules.TOP_KINDS
    return (
        Input("contractor", say("Contractor"), needed=True, hint=say("Name or business number.")),
        Input(
            "kind",
            say("Kind of contract"),
            "select",
            needed=True,
            options=options(language, wording.CONTRACT_KINDS, kinds),
        ),
        Input("work", say("Work"), needed=True, hint=say("What is to be done or delivered.")),
        *terms(changed=False),
    )


def site(*, new: bool) -> Inputs:
    """Return a site's facts."""
    code_hint = say("Lower-case letters, digits and hyphens; terminals carry it, so it stays for ever.")
    once = (Input("code", say("Code"), needed=True, hint=code_hint, chars_max=40),)
    return (
        *(once if new else ()),
        Input("name", say("Name"), needed=True),
        Input("address", say("Address"), chars_max=300, blank="text"),
        Input("timezone", say("Time zone"), hint=say("Asia/Seoul when it is empty."), chars_max=60),
        Input(
            "day_start",
            say("Begin of a working day"),
            hint=say("The hour at which one day's work ends and the next begins, like 04:00."),
            chars_max=5,
        ),
        Input(
            "closed_days",
            say("Days off"),
            hint=say("Dates like 2026-12-25, with blanks between them."),
            chars_max=2_000,
        ),
        *(
            ()
            if new
            else (
                Input(
                    "closed_on",
                    say("Closed on"),
                    "date",
                    hint=say("From this day on nobody is put on its roll or let in as a visitor."),
                    blank="null",
                ),
            )
        ),
    )


def zone(language: str, *, new: bool) -> Inputs:
    """Return a zone's or gate's facts."""
    kinds = options(language, wording.ZONE_KINDS, record_rules.ZONE_KINDS)
    hint = say("Lower-case letters, digits and hyphens; terminals name it.")
    if not new:
        closed = Input("closed_on", say("Closed on"), "date", blank="null")
        return (Input("name", say("Name"), needed=True, chars_max=100), closed)
    return (
        Input("code", say("Code"), needed=True, hint=hint, chars_max=40),
        Input("name", say("Name"), needed=True, chars_max=100),
        Input("kind", say("Kind"), "select", needed=True, options=kinds),
    )


def site_employer(language: str) -> Inputs:
    """Return an employer on a site."""
    return (
        Input("organization", say("Employer"), needed=True, hint=say("Name or business number.")),
        Input("tier", say("As"), "select", needed=True, options=options(language, wording.TIERS, rules.TIERS)),
        Input("from_on", say("From"), "date", needed=True),
        Input("until_on", say("Until (not included)"), "date", hint=_LAST_DAY),
    )


UNTIL = (Input("until_on", say("Until (not included)"), "date", hint=_LAST_DAY, blank="null"),)
CLOSED = (
    Input(
        "closed_on",
        say("Closed on"),
        "date",
        hint=say("First day on which it no longer binds; empty opens it again."),
        blank="null",
    ),
)


def worker(language: str, *, blank: bool = True) -> Inputs:
    """Return a person's facts. `blank`: an empty input takes away what is there."""
    gone = "null" if blank else "out"
    return (
        Input("name", say("Name"), needed=True, hint=say("As on the card, in its own letters."), chars_max=100),
        Input(
            "worker_no",
            say("Worker number"),
            hint=say("The mutual-aid association's; no resident registration number."),
            chars_max=20,
            blank=gone,  # type: ignore[arg-type]  # one of the two
        ),
        Input("birth_on", say("Date of birth"), "date", blank=gone),  # type: ignore[arg-type]  # one of the two
        Input(
            "nationality",
            say("Nationality"),
            hint=say("Two letters: KR, CN, VN, …"),
            chars_max=2,
            blank=gone,  # type: ignore[arg-type]  # one of the two
        ),
        Input("language", say("Language"), "select", needed=True, options=wording.worker_languages(language)),
        Input("phone", say("Telephone"), "tel", chars_max=20, blank=gone),  # type: ignore[arg-type]  # one of the two
    )


def first_employment(language: str, *, needed: bool) -> Inputs:
    """Return the employment that a new worker begins with."""
    return (
        Input("site", say("Site"), needed=needed, hint=say("Code of the site."), chars_max=40),
        Input("employer", say("Employer"), needed=needed, hint=_EMPLOYER_HINT),
        Input("trade", say("Trade"), "select", needed=needed, options=trades(language)),
        Input("from_on", say("Employed from"), "date", needed=needed),
    )


def employment(language: str) -> Inputs:
    """Return an employment of a known worker."""
    return (
        *first_employment(language, needed=True),
        Input("until_on", say("Until (not included)"), "date", hint=_LAST_DAY),
    )


def numbered(language: str) -> Inputs:
    """Return an employment of somebody who is named by number and name together."""
    hint = say("Exactly as it is registered: number and name have to fit each other.")
    return (
        Input("worker_no", say("Worker number"), needed=True, chars_max=20),
        Input("name", say("Name"), needed=True, hint=hint, chars_max=100),
        *[one for one in employment(language) if one.name != "site"],
    )


def paper(language: str) -> Inputs:
    """Return a paper of a worker."""
    value_hint = say("A visa's status (E-9), or the grade of a skill: beginner, intermediate, advanced, expert.")
    return (
        Input(
            "kind",
            say("Paper"),
            "select",
            needed=True,
            options=options(language, wording.PAPER_KINDS, record_rules.PAPER_KINDS),
        ),
        Input("value", say("Status or grade"), hint=value_hint, chars_max=40),
        Input("trade", say("Trade"), "select", options=trades(language), hint=say("For a grade.")),
        Input("number", say("Number on the paper"), chars_max=60),
        Input("from_on", say("From"), "date", needed=True),
        Input("until_on", say("Until (not included)"), "date"),
    )


def labour(language: str) -> Inputs:
    """Return a labour contract."""
    return (
        Input("site", say("Site"), needed=True, hint=say("Code of the site."), chars_max=40),
        Input("employer", say("Employer"), needed=True, hint=_EMPLOYER_HINT),
        Input(
            "kind",
            say("Kind of employment"),
            "select",
            needed=True,
            options=options(language, wording.LABOUR_KINDS, record_rules.LABOUR_KINDS),
        ),
        Input("wage_won", say("Wage (won)"), "won", needed=True, chars_max=16),
        Input(
            "wage_per",
            say("Wage for a"),
            "select",
            needed=True,
            options=options(language, wording.WAGE_PERIODS, record_rules.WAGE_PERIODS),
        ),
        Input(
            "minutes_a_day",
            say("Agreed minutes a day"),
            "number",
            needed=True,
            hint=say("Without breaks: eight hours are 480. What makes one credited day."),
            chars_max=5,
        ),
        Input("signed_on", say("Signed on"), "date", needed=True),
        Input("from_on", say("From"), "date", needed=True),
        Input("until_on", say("Until (not included)"), "date", hint=_LAST_DAY),
    )


def card(language: str) -> Inputs:
    """Return a card to be given to a worker."""
    return (
        Input(
            "card",
            say("Card"),
            needed=True,
            hint=say("Hold it to the reader at this computer, or type the number that is printed on it."),
            chars_max=64,
        ),
        Input(
            "kind",
            say("Kind of card"),
            "select",
            needed=True,
            options=options(language, wording.CARD_KINDS, rules.CARD_KINDS),
        ),
        Input(
            "until_on", say("Until (not included)"), "date", hint=say("A temporary card is lent for 30 days at most.")
        ),
    )


def bar() -> Inputs:
    """Return a bar."""
    return (
        Input("reason", say("Reason"), needed=True, hint=say("Whoever may see the worker sees it.")),
        Input("site", say("Site"), hint=say("Code of the site; empty bars from every site."), chars_max=40),
        Input("until_on", say("Until (not included)"), "date", hint=say("Empty: until somebody ends it.")),
    )


def merge() -> Inputs:
    """Return which other entry is the same person."""
    return (
        Input(
            "other_id",
            say("The other entry"),
            "number",
            needed=True,
            hint=say("The last number in the address of its page."),
            chars_max=20,
        ),
        Input("reason", say("How you know that they are one person"), needed=True),
    )


def day_pass(language: str) -> Inputs:
    """Return who comes in for the day."""
    return (
        Input(
            "kind",
            say("Who"),
            "select",
            needed=True,
            options=options(language, wording.PASS_KINDS, record_rules.PASS_KINDS),
        ),
        Input("name", say("Name"), needed=True, chars_max=100),
        Input("company", say("Company")),
        Input("plate", say("Vehicle's plate"), hint=say("Of a driver."), chars_max=20),
        Input("host", say("Who answers for them here"), chars_max=100),
        Input("phone", say("Telephone"), "tel", chars_max=20),
    )
