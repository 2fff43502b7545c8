"""A worker objects, the employer answers in time or is reminded, the client decides; what was said stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import errors
from sqlalchemy import Engine, text

from central.kit.db import write_session
from central.kit.sealed import Seal
from central.kit.states import RefusedTransition
from central.myself import telling
from central.myself.states import OBJECTION, OWN, STATES
from central.registry.models import Organization, SiteEmployer, Worker
from simulators.clocks import HandClock
from simulators.own_site import CODE, OwnSite

HUNG, HUNGS = "26-0001", "01011110001"
DAY = date(2026, 11, 20)
NEXT = {
    ("open", "uphold"): "upheld",
    ("open", "refuse"): "refused",
    ("open", "withdraw"): "withdrawn",
    ("refused", "insist"): "insisted",
    ("insisted", "uphold"): "upheld",
    ("insisted", "refuse"): "dismissed",
    ("insisted", "withdraw"): "withdrawn",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("step", ["uphold", "refuse", "withdraw", "insist"])
def test_every_step_from_every_state(state: str, step: str) -> None:
    if (state, step) in NEXT:
        found = OBJECTION.step(state, step)
        assert found.next_state == NEXT[state, step]
        assert (found.permission == OWN) == (step in {"withdraw", "insist"})
    else:
        with pytest.raises(RefusedTransition):
            OBJECTION.step(state, step)


@pytest.fixture
def hung(phone: Callable[..., Any], own_site: OwnSite) -> Any:
    own_site.day(HUNG, DAY)
    made = phone()
    made.sign_in(HUNG, HUNGS)
    return made


def object_to(worker: Any, **form: str) -> httpx.Response:
    given = {"site": CODE, "on": DAY.isoformat(), "last_out": "19:30", "words": "Tôi làm đến 19:30"}
    answer: httpx.Response = worker.post("/me/objections", **(given | form))
    return answer


def test_a_worker_objects_and_the_employer_agrees(hung: Any, office: Callable[..., httpx.Client]) -> None:
    made = object_to(hung)
    assert made.status_code == 303
    own_page = hung.get(made.headers["location"]).text
    assert "Waiting for your employer" in own_page
    assert "Mon, Nov 30" in own_page  # seven days
    sub = office("subcontractor", "sub")
    assert "Nguyễn Văn Hùng" in sub.get("/objections").text
    path = made.headers["location"].removeprefix("/me")
    shown = sub.get(path).text
    assert "Tôi làm đến 19:30" in shown
    assert "2026-11-20 17:00" in shown, "what the terminals recorded stands beside it"
    without = sub.post(f"{path}/uphold")
    assert without.status_code == 422
    assert sub.post(f"{path}/uphold", data={"last_out": "19:30", "words": "đúng"}).status_code == 303
    page = hung.get(made.headers["location"]).text
    assert "Agreed" in page
    assert "19:30" in page
    assert sub.post(f"{path}/refuse", data={"words": "no"}).status_code == 409


def test_what_cannot_be_objected_to_is_said_and_what_was_typed_stays(hung: Any) -> None:
    for form, said in (
        ({"words": "", "last_out": ""}, "Write what is wrong"),
        ({"on": "2027-01-01"}, "still to come"),
        ({"on": "2019-01-01"}, "too long ago"),
        ({"on": "soon"}, "Choose a day"),
        ({"last_out": "25:00"}, "like 07:30"),
    ):
        answer = object_to(hung, **form)
        assert answer.status_code == 422
        assert said in answer.text
        assert form.get("words", "Tôi làm đến 19:30") in answer.text
    assert object_to(hung, site="site-99").status_code == 404
    assert object_to(hung).status_code == 303
    again = object_to(hung)
    assert again.status_code == 409
    assert "already" in again.text


def test_a_refused_worker_insists_and_the_client_decides(
    hung: Any, office: Callable[..., httpx.Client], hand_clock: HandClock
) -> None:
    own = object_to(hung).headers["location"]
    path = own.removeprefix("/me")
    prime, client = office("contractor", "prime"), office("client_official", "client")
    assert client.post(f"{path}/refuse", data={"words": "no"}).status_code == 403
    assert prime.post(f"{path}/refuse").status_code == 422
    assert prime.post(f"{path}/refuse", data={"words": "The gate says 17:00"}).status_code == 303
    assert "The gate says 17:00" in hung.get(own).text
    assert hung.post(f"{own}/insist").status_code == 303
    assert prime.post(f"{path}/uphold", data={"last_out": "19:30"}).status_code == 403
    hand_clock.move(timedelta(days=20))
    client = office("client_official", "client")
    assert "late" in client.get("/objections").text
    assert client.post(f"{path}/uphold", data={"last_out": "19:00"}).status_code == 303
    hung.sign_in(HUNG, HUNGS)
    assert "19:00" in hung.get(own).text


@pytest.mark.promise("ACC-01")
def test_another_employers_objections_are_not_there(
    hung: Any,
    office: Callable[..., httpx.Client],
    central_engine: Engine,
    own_site: OwnSite,
    phone: Callable[..., Any],
) -> None:
    """Mutant: leave the table's rule out."""
    own = object_to(hung).headers["location"]
    path = own.removeprefix("/me")
    with write_session(central_engine) as session:
        other = Organization(name="솔빛형틀", kind="sub")
        session.add(other)
        session.flush()
        own_site.ids["other"] = other.id or 0
        session.add(
            SiteEmployer(
                site_id=own_site.ids["site"], organization_id=other.id or 0, tier="sub", from_on=date(2026, 1, 1)
            )
        )
    stranger = office("subcontractor", "other")
    assert "Nguyễn" not in stranger.get("/objections").text
    assert stranger.get(path).status_code == 404
    assert stranger.post(f"{path}/uphold", data={"last_out": "19:30"}).status_code == 404
    batbayar = phone()
    batbayar.sign_in("26-0003", "01011110003")
    assert batbayar.client.get(own).status_code == 404
    assert batbayar.post(f"{own}/withdraw").status_code == 404


def test_a_code_from_the_desk_opens_the_days_once_and_takes_no_objection_back(
    phone: Callable[..., Any], own_site: OwnSite, office: Callable[..., httpx.Client]
) -> None:
    prime = office("contractor", "prime")
    given = prime.post(f"/workers/{own_site.ids['26-0002']}/sign-in-code")
    assert given.status_code == 200
    code = given.text.split("<code>")[1].split("</code>")[0]
    minsu, other = phone(), phone()
    wrong_number = other.ticket(other.ask(HUNG))
    assert other.post("/me/sign-in/code", ticket=wrong_number, code=code).status_code == 401
    ticket = minsu.ticket(minsu.ask("26-0002"))
    assert minsu.post("/me/sign-in/code", ticket=ticket, code=code.lower()).status_code == 303
    again = other.ticket(other.ask("26-0002"))
    assert other.post("/me/sign-in/code", ticket=again, code=code).status_code == 401
    own = object_to(minsu).headers["location"]
    refused = minsu.post(f"{own}/withdraw")
    assert refused.status_code == 403
    assert "code of the site office" in refused.text


def test_who_has_to_answer_is_told_before_and_after_the_deadline_once_each(
    hung: Any, office: Callable[..., httpx.Client], central_engine: Engine, seal: Seal, hand_clock: HandClock
) -> None:
    object_to(hung)
    office("subcontractor", "sub")
    office("contractor", "prime")

    def told(days: int) -> dict[str, int]:
        hand_clock.move(timedelta(days=days))
        with write_session(central_engine) as session:
            return telling.remind(session, seal, public_url="https://ccs.example", now=hand_clock.now())

    assert told(1) == {}
    assert told(5) == {"reminded": 1, "letters": 1}
    assert told(0) == told(1) == {}
    assert told(3) == {"reminded": 1, "letters": 1}
    assert told(9) == {}
    with psycopg.connect(hung.app.state.settings.database_url) as connection:
        rows = connection.execute(
            "SELECT recipient, subject FROM kit_outgoing WHERE channel = 'mail' ORDER BY created_at"
        )
        assert rows.fetchall() == [
            ("subcontractor-sub-0@b.test", "An objection is nearly due"),
            ("subcontractor-sub-0@b.test", "An objection is late"),
        ]


def test_a_worker_with_a_telephone_hears_that_there_is_an_answer(
    hung: Any, office: Callable[..., httpx.Client]
) -> None:
    path = object_to(hung).headers["location"].removeprefix("/me")
    assert office("subcontractor", "sub").post(f"{path}/refuse", data={"words": "no"}).status_code == 303
    hung.ask("26-9999")  # lets the scheduler send what is due
    (heard,) = [one for one in hung.gateway.texts if "Answered" in one.text]
    assert heard.to == HUNGS


@pytest.mark.promise("EVD-01")
def test_the_database_itself_keeps_what_was_objected_and_answered(database_url: str) -> None:
    """Mutant: leave out the triggers."""
    for statement in (
        "UPDATE myself_objection SET words = ''",
        "UPDATE myself_objection SET first_in = '07:00', last_out = '17:00'",
        "DELETE FROM myself_objection",
        "UPDATE myself_objection_event SET words = ''",
        "DELETE FROM myself_objection_event",
    ):
        with psycopg.connect(database_url) as connection, pytest.raises(errors.RestrictViolation, match="is evidence"):
            connection.execute(statement.encode())


def test_an_objection_follows_its_worker_into_the_entry_that_is_kept(
    hung: Any, office: Callable[..., httpx.Client], central_engine: Engine, own_site: OwnSite
) -> None:
    own = object_to(hung).headers["location"]
    with write_session(central_engine) as session:
        kept = Worker(name="Nguyen V. Hung", worker_no=None, language="vi")
        session.add(kept)
        session.flush()
        mine = own_site.ids[HUNG]
        for moved in (
            "UPDATE registry_employment SET worker_id = :kept WHERE worker_id = :mine",
            "UPDATE attendance_event SET worker_id = :kept WHERE worker_id = :mine",
            "UPDATE registry_worker SET merged_into_id = :kept WHERE id = :mine",
        ):
            session.execute(text(moved), {"kept": kept.id, "mine": mine})
    sub = office("subcontractor", "sub")
    assert "Nguyen V. Hung" in sub.get("/objections").text
    shown = sub.get(own.removeprefix("/me"))
    assert shown.status_code == 200
    assert "2026-11-20 17:00" in shown.text
    assert "Tôi làm" in hung.get(own).text, "and the worker still sees it, signed in as before"
