"""A sheet writes no more than its giver may by hand: another employer's row in it is wrong, another's site unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text

from central.identity.permissions import Role
from central.kit import web
from central.kit.db import write_session
from simulators.servers import wait_until
from simulators.two_worlds import SINCE, World
from simulators.web import WebServer

Signed = Callable[[Role], httpx.Client]
ROLL = "name,employer,trade,from_on,worker_no\n"
ONE = f"{ROLL}An,sub own,rebar,2026-11-01,77\n"
TWO = f"{ONE}Bae,prime own,rebar,2026-11-01,78\n"
CHAIN = "ref,above,kind,contractor,work,amount_won,begins_on,ends_on\n"


@pytest.fixture
def signed_in(
    access_web: WebServer, access_app: FastAPI, people_of: dict[Role, int], session_for: Callable[[int], str]
) -> Iterator[Signed]:
    made: list[httpx.Client] = []
    key = access_app.state.settings.secret_key.encode()

    def make(role: Role) -> httpx.Client:
        cookies = {web.CSRF_COOKIE: "c" * 32, "ccs_session": session_for(people_of[role]), "ccs_language": "en"}
        headers = {"x-csrf-token": web._token(key, "c" * 32, "0" * 16)}
        made.append(httpx.Client(base_url=access_web.url, cookies=cookies, headers=headers, timeout=60))
        return made[-1]

    yield make
    for client in made:
        client.close()


def give(client: httpx.Client, place: str, text: str) -> httpx.Response:
    answer = client.post(f"{place}/imports", files={"file": ("a.csv", text.encode())})
    if answer.status_code != 303:
        return answer
    found: list[httpx.Response] = []

    def looked() -> bool:
        found[:] = [client.get(answer.headers["location"])]
        return found[0].status_code != 200 or 'id="progress"' not in found[0].text

    wait_until(looked, what="the dry run's end")
    return found[0]


@pytest.mark.promise("ACC-01")
def test_a_subcontractors_roll_may_name_its_own_firm_only(signed_in: Signed, worlds: tuple[World, World]) -> None:
    """Mutant: read a roll with every employer of the site, in a session that is confined to nothing."""
    own, other = worlds
    sub = signed_in(Role.SUBCONTRACTOR)
    mine = give(sub, f"/sites/{own.site}", ONE)
    assert "<dt>New workers</dt><dd>1</dd>" in mine.text, mine.text
    theirs = give(sub, f"/sites/{own.site}", TWO)
    assert "1 rows are wrong" in theirs.text
    assert "does not work on this site, or is not yours" in theirs.text
    assert give(sub, f"/sites/{other.site}", ONE).status_code == 404
    assert give(signed_in(Role.AUDITOR), f"/sites/{own.site}", ROLL).status_code == 403
    prime = signed_in(Role.CONTRACTOR)
    both = give(prime, f"/sites/{own.site}", TWO)
    assert "<dt>New workers</dt><dd>2</dd>" in both.text
    assert sub.get(both.url.path).status_code == 404
    assert prime.get(mine.url.path).status_code == 200


@pytest.mark.promise("ACC-01")
def test_a_contractors_sheet_stands_below_its_own_contract(signed_in: Signed, worlds: tuple[World, World]) -> None:
    own, other = worlds
    prime = signed_in(Role.CONTRACTOR)
    top = own.ids["contract_prime"]
    line = "supervisor own,curtain wall,1000,2026-02-01,2026-03-01"
    good = give(prime, f"/projects/{own.project}", f"{CHAIN}a,#{top},sub,{line}\n")
    assert "<dt>New contracts</dt><dd>1</dd>" in good.text, good.text
    bad = give(
        prime,
        f"/projects/{own.project}",
        f"{CHAIN}a,,prime,{line}\nb,#{own.ids['contract_supervision']},sub,{line}\nc,#{other.ids['contract_prime']},sub,{line}\n",
    )
    assert "3 rows are wrong" in bad.text
    assert give(prime, f"/projects/{other.project}", CHAIN).status_code == 404
    client = signed_in(Role.CLIENT_OFFICIAL)
    whole = give(client, f"/projects/{own.project}", f"{CHAIN}a,,prime,{line}\n")
    assert "<dt>New contracts</dt><dd>1</dd>" in whole.text
    assert prime.get(whole.url.path).status_code == 404


@pytest.fixture
def registered(access_engine: Engine, worlds: tuple[World, World]) -> None:
    """Two workers with all their facts: number 901 of the other world, number 902 of the own subcontractor."""
    with write_session(access_engine) as session:
        for number, worker in ((901, worlds[1].ids["worker_prime"]), (902, worlds[0].ids["worker_sub"])):
            facts = {"id": worker, "number": str(number), "name": f"Kim {number}", "born": date(1970, 5, 17)}
            session.execute(
                text("UPDATE registry_worker SET worker_no = :number, name = :name, birth_on = :born WHERE id = :id"),
                facts,
            )


def lines(*rows: tuple[str, int, str]) -> str:
    head = "name,employer,trade,from_on,worker_no,birth_on\n"
    return head + "".join(f"{name},sub own,rebar,{SINCE},{number},{born}\n" for name, number, born in rows)


@pytest.mark.promise("ACC-01")
@pytest.mark.usefixtures("registered")
def test_no_roll_finds_out_by_trying_who_is_registered_elsewhere(
    signed_in: Signed, worlds: tuple[World, World]
) -> None:
    """Mutants: count nothing; count of a run and not of its asker; tell what the eleventh row found."""
    place = f"/sites/{worlds[0].site}"
    sub = signed_in(Role.SUBCONTRACTOR)
    names = lines(*((f"Kim {number}", 901, "") for number in range(886, 906)))
    guessing = give(sub, place, names)
    assert guessing.text.count("belongs to somebody who is registered under another name") == 10
    assert "too many worker numbers, cards and names did not fit together" in guessing.text
    again = give(sub, place, lines(("Kim 901", 901, "")))
    assert "too many worker numbers" in again.text, "not even what is right is told now"
    ours = give(sub, place, lines(("Kim 902", 902, ""), ("An", 903, "")))
    assert "<dt>New workers</dt><dd>1</dd>" in ours.text, "who names nobody else goes on"
    prime = give(signed_in(Role.CONTRACTOR), place, lines(("Kim 901", 901, "")))
    assert "<dt>New workers</dt>" not in prime.text
    assert "<dt>Employments</dt><dd>1</dd>" in prime.text, "each asker has a count of their own"


@pytest.mark.promise("ACC-01")
@pytest.mark.usefixtures("registered")
def test_no_roll_is_told_which_facts_of_somebody_elsewhere_differ(
    signed_in: Signed, worlds: tuple[World, World]
) -> None:
    """Mutant: compare the sheet's facts with everybody's."""
    place, differs = f"/sites/{worlds[0].site}", "is registered with another birth_on"
    sub = signed_in(Role.SUBCONTRACTOR)
    assert differs not in give(sub, place, lines(("Kim 901", 901, "1970-05-18"))).text
    assert differs in give(sub, place, lines(("Kim 902", 902, "1970-05-18"))).text
    wrong = give(sub, place, lines(*[("Nobody", 902, "")] * 12))
    assert "12 rows are wrong" in wrong.text, "of one's own people nothing is counted"
