"""What is handed out can be taken in again, and then changes nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import httpx
import psycopg
import pytest
from python_calamine import CalamineWorkbook

from central.kit import web
from simulators.servers import wait_until
from simulators.web import WebServer

HEADS = """name employer trade from_on until_on worker_no birth_on nationality language phone card_uid safety_no
safety_from_on visa visa_from_on visa_until_on grade grade_from_on contract_kind wage_won wage_per minutes_a_day
signed_on"""
PEOPLE: list[dict[str, str]] = [
    {"name": "김철수", "employer": "Hanbit", "trade": "rebar", "from_on": "2026-11-01", "worker_no": "1001"}
    | {"birth_on": "1970-05-17", "nationality": "KR", "phone": "010-1234-5678", "card_uid": "04A1B2C3"}
    | {"safety_no": "S-77", "safety_from_on": "2020-03-01", "grade": "고급", "grade_from_on": "2024-01-01"}
    | {"contract_kind": "일용", "wage_won": "210000", "wage_per": "일급", "signed_on": "2026-10-30"},
    {"name": "-Nguyễn Văn Ánh", "employer": "124-81-00998", "trade": "scaffolder", "from_on": "2026-11-02"}
    | {"until_on": "2027-03-01", "worker_no": "1002", "birth_on": "1990-01-02", "nationality": "VN", "language": "vi"}
    | {"card_uid": "04A1B2C4", "visa": "E-9", "visa_from_on": "2026-01-01", "visa_until_on": "2027-05-01"},
    {"name": "สมชาย ใจดี", "employer": "Hanbit", "trade": "painter", "from_on": "2026-11-03", "worker_no": "1003"},
]
ROLL = "\n".join(",".join(row.get(head, "") for head in HEADS.split()) for row in PEOPLE)
ROLL = f"{','.join(HEADS.split())}\n{ROLL}\n"
CONTRACTS = """ref,above,kind,contractor,work,amount_won,begins_on,ends_on,effective_on,contractor_name
p,,prime,1248100998,gymnasium,1250000000,2026-01-05,2027-12-20,2026-01-05,
s,p,sub,2208162517,rebar,300000000,2026-02-01,2026-12-30,2026-01-20,Seoul Rebar
t,s,equipment,1018100995,crane,20000000,2026-03-01,2026-12-30,2026-03-01,Crane Works
"""


@pytest.fixture
def person(api_for: Callable[..., httpx.Client], registry_web: WebServer, site_seven: dict[str, int]) -> httpx.Client:
    assert site_seven
    client = api_for("*")
    client.base_url = httpx.URL(registry_web.url)
    client.cookies.set("ccs_language", "en")
    client.cookies.set(web.CSRF_COOKIE, "c" * 32)
    client.headers["x-csrf-token"] = web._token(b"s" * 32, "c" * 32, "0" * 16)
    return client


def ended(person: httpx.Client, path: str) -> str:
    found: list[str] = []

    def looked() -> bool:
        found[:] = [person.get(path).text]
        return 'id="progress"' not in found[0]

    wait_until(looked, what="the import's end")
    return found[0]


def take(person: httpx.Client, place: str, name: str, content: bytes) -> str:
    answer = person.post(f"{place}/imports", files={"file": (name, content)})
    path = answer.headers["location"]
    checked = ended(person, path)
    assert "/take" in checked, checked
    assert person.post(f"{path}/take").status_code == 303
    return ended(person, path)


def lines(answer: httpx.Response, form: str) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    if form == "csv":
        return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(answer.content)).get_sheet_by_index(0)
    return [[str(cell) for cell in row] for row in sheet.to_python()]


def looks(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM audit_event WHERE tag = 'worker:export'").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_roll_handed_out_and_taken_in_again_changes_nothing(
    person: httpx.Client, database_url: str, form: str, language: str
) -> None:
    assert "<dt>New workers</dt><dd>3</dd>" in take(person, "sites/site-07", "roll.csv", ROLL.encode())
    person.cookies.set("ccs_language", language)
    answer = person.get(f"sites/site-07/roll.{form}")
    out = lines(answer, form)
    assert len(out) == 4
    assert looks(database_url) == 1
    person.cookies.set("ccs_language", "en")
    again = take(person, "sites/site-07", f"roll.{form}", answer.content)
    assert "<dt>Already there</dt><dd>3</dd>" in again
    assert "<dt>New workers</dt>" not in again
    person.cookies.set("ccs_language", language)
    assert lines(person.get(f"sites/site-07/roll.{form}"), form) == out


def test_a_name_that_a_spreadsheet_would_run_is_text_and_comes_back_as_it_was(person: httpx.Client) -> None:
    take(person, "sites/site-07", "roll.csv", ROLL.encode())
    raw = person.get("sites/site-07/roll.csv").content.decode("utf-8-sig")
    assert "\n'-Nguyễn Văn Ánh," in raw.replace("\r", "")
    page = take(person, "sites/site-07", "again.csv", raw.encode())
    assert "<dt>Already there</dt><dd>3</dd>" in page


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_contracts_handed_out_and_taken_in_again_change_nothing(person: httpx.Client, form: str, language: str) -> None:
    assert "<dt>New contracts</dt><dd>3</dd>" in take(person, "projects/gym", "contracts.csv", CONTRACTS.encode())
    person.cookies.set("ccs_language", language)
    answer = person.get(f"projects/gym/contracts.{form}", params={"on": "2026-06-01"})
    out = lines(answer, form)
    assert [line[4] for line in out[1:]] == ["gymnasium", "rebar", "crane"]
    person.cookies.set("ccs_language", "en")
    again = take(person, "projects/gym", f"contracts.{form}", answer.content)
    assert "<dt>Already there</dt><dd>3</dd>" in again


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("organizations", ["Name", "Business number", "Kind"]),
        ("projects", ["Code", "Name", "Client"]),
        ("cards", ["Card", "State", "Kind of card"]),
    ],
)
def test_every_other_list_is_handed_out_whole(person: httpx.Client, path: str, first: list[str]) -> None:
    take(person, "sites/site-07", "roll.csv", ROLL.encode())
    for form in ("csv", "xlsx"):
        out = lines(person.get(f"{path}.{form}"), form)
        assert out[0][:3] == first
        assert len(out) == {"organizations": 3, "projects": 2, "cards": 3}[path]
