"""A sheet writes no more than its giver may by hand: another employer's row in it is wrong, another's site unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI

from central.identity.permissions import Role
from central.kit import web
from simulators.servers import wait_until
from simulators.two_worlds import World
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
