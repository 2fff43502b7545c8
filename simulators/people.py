"""Made-up people of a made-up site: firms, crews, workers and their cards. One seed gives one roll, for ever.

Nobody here exists. Names are drawn from short lists of common family and given names; business numbers start with
999, which the tax office does not issue.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

Role = Literal["worker", "foreman", "barred", "visitor", "test"]

WORKERS_MIN = 12
WORKERS_MAX = 5_000
_BRN_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)


@dataclass(frozen=True, slots=True)
class Employer:
    """A firm on the site."""

    key: str
    name: str
    business_no: str
    """Ten digits with a right check digit."""
    kind: Literal["client", "prime", "sub", "supplier", "supervisor"]


@dataclass(frozen=True, slots=True)
class CardInHand:
    """A card that somebody can hold to a reader."""

    identity: bytes
    """The raw identity a reader would see; 7 bytes."""
    method: Literal["desfire_ev2", "ntag424_sdm", "id_only", "temporary_number"]
    assurance: int


@dataclass(frozen=True, slots=True)
class Person:
    """One person of the roll."""

    number: str
    """The association's worker number (made up)."""
    name: str
    language: str
    employer: str
    """`Employer.key`."""
    trade: str
    """Code of the trade, as `central.registry.rules.trades` lists them."""
    crew: int
    role: Role
    card: CardInHand
    temporary: CardInHand | None = None
    """A temporary number issued because the card is often left at home; proves less than the card."""

    @property
    def telephone(self) -> str:
        """A made-up mobile number: no subscriber's begins with 010-0."""
        return f"0100000{self.number[-4:]}"


@dataclass(frozen=True, slots=True)
class Roll:
    """Everybody and every firm of the demo site, and one card that nobody holds."""

    seed: int
    employers: tuple[Employer, ...]
    people: tuple[Person, ...]
    stray: CardInHand

    def holder(self, identity: bytes) -> Person | None:
        """Whose card this is, or None for the stray one."""
        for person in self.people:
            if identity == person.card.identity:
                return person
            if person.temporary is not None and identity == person.temporary.identity:
                return person
        return None


_FIRMS: tuple[tuple[str, str, Literal["client", "prime", "sub", "supplier", "supervisor"], tuple[str, ...]], ...] = (
    ("client", "푸른시 도시기반본부", "client", ()),
    ("prime", "가온누리종합건설", "prime", ("general_labourer", "signaller", "machine_operator")),
    ("form", "솔빛형틀", "sub", ("form_carpenter", "helper")),
    ("rebar", "두레철근", "sub", ("rebar", "helper")),
    ("scaffold", "아라비계", "sub", ("scaffolder",)),
    ("concrete", "늘찬콘크리트", "sub", ("concrete", "skilled_labourer")),
    ("pipe", "미르배관", "sub", ("pipefitter", "welder")),
    ("electric", "다솜전기", "sub", ("electrician", "helper")),
    ("finish", "온새미마감", "sub", ("plasterer", "tiler", "waterproofer", "mason")),
    ("supervisor", "한결감리", "supervisor", ()),
)
CREW_SIZE = 12
LANGUAGES = ("ko", "zh", "vi", "uz", "mn", "km", "ne", "en")
_LANGUAGE_WEIGHTS = (58, 17, 10, 5, 3, 3, 2, 2)
_NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "ko": (
        tuple("김이박최정강조윤장임한오서신권황안송류홍"),
        (
            "민수",
            "영호",
            "정훈",
            "성민",
            "동현",
            "재석",
            "기태",
            "상철",
            "은주",
            "미경",
            "지훈",
            "병철",
            "수진",
            "태영",
        ),
        "",
    ),
    "zh": (
        ("Wang", "Li", "Zhang", "Liu", "Chen", "Yang", "Zhao", "Jin"),
        ("Wei", "Qiang", "Jianguo", "Zhiming", "Hailong", "Chunmei", "Yonghao", "Jun"),
        " ",
    ),
    "vi": (
        ("Nguyễn Văn", "Trần Văn", "Lê Văn", "Phạm Minh", "Hoàng Đức", "Vũ Quốc"),
        ("Hùng", "Dũng", "Tuấn", "Nam", "Long", "Sơn", "Thắng"),
        " ",
    ),
    "uz": (
        ("Karimov", "Rahimov", "Yusupov", "Aliyev", "Toshmatov"),
        ("Sherzod", "Jasur", "Bobur", "Otabek", "Jamshid"),
        " ",
    ),
    "mn": (("Bat", "Dorj", "Gan"), ("Erdene", "Naran", "Bold", "Ganbat"), " "),
    "km": (("Sok", "Chan", "Heng"), ("Dara", "Vuthy", "Sophal", "Rithy"), " "),
    "ne": (("Gurung", "Tamang", "Rai"), ("Bishnu", "Prakash", "Suman"), " "),
    "en": (("Santos", "Reyes", "Cruz"), ("Ramon", "Jose", "Mark"), " "),
}


def business_number(serial: int) -> str:
    """Build a business number of ten digits with a right check digit, under the unissued prefix 999."""
    digits = [int(digit) for digit in f"99990{serial:04d}"]
    total = sum(digit * weight for digit, weight in zip(digits, _BRN_WEIGHTS, strict=True)) + digits[8] * 5 // 10
    return "".join(map(str, digits)) + str(-total % 10)


def _identity(seed: int, number: str, kind: str) -> bytes:
    """Give each card an identity as an NXP chip would: 04 and six bytes."""
    return b"\x04" + hashlib.sha256(f"{seed}/{number}/{kind}".encode()).digest()[:6]


def _card(seed: int, number: str, chance: random.Random) -> CardInHand:
    """Most cards authenticate both ways; a few only sign a counter; some old ones only say who they are."""
    draw = chance.random()
    identity = _identity(seed, number, "card")
    if draw < 0.8:  # noqa: PLR2004 - shares of the card types
        return CardInHand(identity, "desfire_ev2", 3)
    if draw < 0.9:  # noqa: PLR2004 - as above
        return CardInHand(identity, "ntag424_sdm", 2)
    return CardInHand(identity, "id_only", 0)


def _temporary(seed: int, number: str) -> CardInHand:
    return CardInHand(_identity(seed, number, "temporary"), "temporary_number", 0)


class _Names:
    """Draws names without giving two people of one language the same one while the list lasts."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._given: dict[str, list[str]] = {}

    def draw(self, language: str) -> str:
        if not self._given.get(language):
            families, givens, space = _NAMES[language]
            names = [family + space + given for family in families for given in givens]
            self._chance.shuffle(names)
            self._given[language] = names
        return self._given[language].pop()


def make_roll(*, seed: int, workers: int = 200) -> Roll:
    """Make the roll of a site with `workers` workers, a visitor and a test worker.

    The first member of each crew is its foreman. Exactly one worker is barred; every crew of three or more has one who
    forgets their card. Same seed and number, same roll.
    """
    if not WORKERS_MIN <= workers <= WORKERS_MAX:
        message = f"a site day needs {WORKERS_MIN} to {WORKERS_MAX} workers, not {workers}"
        raise ValueError(message)
    chance = random.Random(f"roll/{seed}/{workers}")
    names = _Names(chance)
    employers = tuple(
        Employer(key, name, business_number(serial), kind) for serial, (key, name, kind, _) in enumerate(_FIRMS, 1)
    )
    crews = [firm for firm in _FIRMS if firm[3]]
    people: list[Person] = []
    for index in range(workers):
        crew, place = divmod(index, min(CREW_SIZE, max(3, workers // 4)))
        key, _, _, trades = crews[crew % len(crews)]
        role: Role = "barred" if index == workers - 1 else ("foreman" if place == 0 else "worker")
        language = "ko" if role == "foreman" else chance.choices(LANGUAGES, _LANGUAGE_WEIGHTS)[0]
        number = f"90{seed % 1000:03d}{index + 1:04d}"
        people.append(
            Person(
                number=number,
                name=names.draw(language),
                language=language,
                employer=key,
                trade="foreman" if role == "foreman" else trades[place % len(trades)],
                crew=crew,
                role=role,
                card=_card(seed, number, chance),
                temporary=_temporary(seed, number) if place == 2 and role == "worker" else None,  # noqa: PLR2004 - the third of a crew
            )
        )
    people += _extras(seed, names, workers)
    return Roll(seed, employers, tuple(people), CardInHand(_identity(seed, "stray", "card"), "id_only", 0))


def _extras(seed: int, names: _Names, workers: int) -> list[Person]:
    """Add a visitor from the supervisor's office and a test worker, who is never counted."""
    found: list[Person] = []
    extras: tuple[tuple[Role, str], ...] = (("visitor", "supervisor"), ("test", "prime"))
    for offset, (role, employer) in enumerate(extras, 1):
        number = f"90{seed % 1000:03d}{workers + offset:04d}"
        card = CardInHand(_identity(seed, number, "card"), "desfire_ev2", 3)
        name = names.draw("ko") if role == "visitor" else "시험카드"
        found.append(Person(number, name, "ko", employer, "general_labourer", -offset, role, card))
    return found
