"""Presence rows kept in step with the events, inside the transaction that stores them.

A person's row is locked before it is read; who takes the lock last sees every tap committed before. Rows are locked in
one order (site, person). A person that two transactions meet for the first time is settled by the primary key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from central.attendance.packing import Bigints, Booleans, Instants, Packed, Smallints, Texts
from central.attendance.presence import CountedTap, State, fold, settles, stepped
from central.attendance.timekeeping import DOUBT_SQL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

    Connection = psycopg.Connection[Any]

PERSONS_A_REFOLD_MAX = 50
"""Whole histories read at once; bounds memory when a long backlog arrives: five years of one are about 5,000 taps."""
TOKENS_A_STEP_MAX = 500
"""Cards resolved again in one statement."""


class PersonKey(NamedTuple):
    """A person at a site. `person` is `worker:{id}` or `card:{token}`."""

    site_id: int
    person: str


@dataclass(slots=True)
class NewTaps:
    """A person's new counted taps."""

    beyond: list[CountedTap] = field(default_factory=list)
    """Each past everything received of its journal before."""
    late: list[CountedTap] = field(default_factory=list)
    """The others."""


def person_of(worker_id: int | None, token: bytes) -> str:
    """Name the person of a tap."""
    return f"worker:{worker_id}" if worker_id is not None else f"card:{token.hex()}"


_COLUMNS = (
    "site_id, person, worker_id, state, since_at, entry_assurance, doubts, last_at, last_journal, last_seq,"
    " last_direction, last_terminal_id, last_zone, full_exit, settled_at, settled_journal, settled_seq, shift_at,"
    " since_journal, since_doubt, last_doubt"
)
_LOCK = """
SELECT p.site_id, p.person, p.state, p.since_at, p.entry_assurance, p.doubts, p.last_at, p.last_journal, p.last_seq,
       p.last_direction, p.last_terminal_id, p.last_zone, p.full_exit, p.settled_at, p.settled_journal, p.settled_seq,
       p.shift_at, p.since_journal, p.since_doubt, p.last_doubt
FROM attendance_presence p
WHERE (p.site_id, p.person) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
ORDER BY p.site_id, p.person FOR UPDATE
"""
_VALUES = """
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::smallint[], %s::timestamptz[], %s::smallint[],
  %s::smallint[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::text[],
  %s::boolean[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::timestamptz[],
  %s::bigint[], %s::smallint[], %s::smallint[])
"""
_INSERT = f"""
INSERT INTO attendance_presence ({_COLUMNS}) {_VALUES} ON CONFLICT DO NOTHING RETURNING site_id, person
"""
_UPDATE = f"""
UPDATE attendance_presence p SET worker_id = n.worker_id, state = n.state, since_at = n.since_at,
  entry_assurance = n.entry_assurance, doubts = n.doubts, last_at = n.last_at, last_journal = n.last_journal,
  last_seq = n.last_seq, last_direction = n.last_direction, last_terminal_id = n.last_terminal_id,
  last_zone = n.last_zone, full_exit = n.full_exit, settled_at = n.settled_at, settled_journal = n.settled_journal,
  settled_seq = n.settled_seq, shift_at = n.shift_at,
  since_journal = n.since_journal, since_doubt = n.since_doubt, last_doubt = n.last_doubt
FROM ({_VALUES}) n({_COLUMNS}) WHERE p.site_id = n.site_id AND p.person = n.person
"""  # noqa: S608 - constants only
_DELETE = """
DELETE FROM attendance_presence
WHERE (site_id, person) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
"""


def keep(connection: Connection, new: Mapping[PersonKey, NewTaps]) -> int:
    """Bring the rows of these persons up to date; their events are already in this transaction.

    Returns how many had to be folded again from all their taps.
    """
    refolded = 0
    waiting = sorted(new)
    while waiting:
        rows = locked(connection, waiting)
        states: dict[PersonKey, State | None] = {}
        again = []
        dated = _long_settled(connection, rows, new)
        for key in waiting:
            state, taps = rows.get(key), new[key]
            if taps.late and key not in dated:
                again.append(key)
            elif taps.beyond:
                state = stepped(state, taps.beyond)
                if state is None:
                    again.append(key)
                else:
                    states[key] = state
        for start in range(0, len(again), PERSONS_A_REFOLD_MAX):
            states |= folded(connection, again[start : start + PERSONS_A_REFOLD_MAX])
        refolded += len(again)
        waiting = write(connection, states, there=rows.keys())
    return refolded


_OVERTAKEN = """
SELECT DISTINCT k.place
FROM unnest(%s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[])
  k(place, site_id, worker_id, journal, seq, settled_at)
JOIN attendance_event e ON e.worker_id = k.worker_id AND e.occurred_at >= k.settled_at
  AND e.site_id = k.site_id AND e.journal = k.journal AND e.seq < k.seq
"""


def _long_settled(
    connection: Connection, rows: Mapping[PersonKey, State], new: Mapping[PersonKey, NewTaps]
) -> set[PersonKey]:
    """Find the persons none of whose late taps can change anything: without it a backlog is read over and over."""
    dated: set[PersonKey] = set()
    asked: list[tuple[PersonKey, State, int, int]] = []
    for key, state in rows.items():
        late = new[key].late
        if not late or not _is_worker(key):
            continue
        newest: dict[int, int] = {}  # by journal: whatever overtakes an older tap overtakes its newest one, too
        for tap in late:
            answer = settles(state, tap)
            if answer is False:
                break
            if answer is None:
                newest[tap.journal] = max(newest.get(tap.journal, 0), tap.seq)
        else:
            dated.add(key)
            asked += [(key, state, journal, seq) for journal, seq in newest.items()]
    if asked:
        columns: list[list[Any]] = [
            list(range(len(asked))),
            [key.site_id for key, _, _, _ in asked],
            [worker_of(key.person) for key, _, _, _ in asked],
            [journal for _, _, journal, _ in asked],
            [seq for _, _, _, seq in asked],
            [state.settled_at for _, state, _, _ in asked],
        ]
        dated -= {asked[row[0]][0] for row in connection.execute(_OVERTAKEN, columns)}
    return dated


def locked(connection: Connection, keys: list[PersonKey]) -> dict[PersonKey, State]:
    """Lock and read the rows that exist."""
    given = (Bigints([key.site_id for key in keys]), Texts([key.person for key in keys]))
    found = connection.cursor(binary=True).execute(_LOCK, given)
    return {PersonKey(row[0], row[1]): State(*row[2:]) for row in found}


def write(
    connection: Connection, states: Mapping[PersonKey, State | None], *, there: Iterable[PersonKey]
) -> list[PersonKey]:
    """Write the rows; a person without counted taps has none.

    `there` are the rows locked by this transaction. Returns who was inserted by another one meanwhile: do them again.
    """
    present = set(there)
    gone = sorted(key for key, state in states.items() if state is None and key in present)
    change = sorted((key, state) for key, state in states.items() if state is not None and key in present)
    fresh = sorted((key, state) for key, state in states.items() if state is not None and key not in present)
    if gone:
        connection.execute(_DELETE, ([key.site_id for key in gone], [key.person for key in gone]))
    if change:
        connection.execute(_UPDATE, _columns(change))
    if not fresh:
        return []
    inserted = {PersonKey(*row) for row in connection.execute(_INSERT, _columns(fresh))}
    return [key for key, _ in fresh if key not in inserted]


def _columns(rows: list[tuple[PersonKey, State]]) -> list[Packed]:
    return [
        Bigints([key.site_id for key, _ in rows]),
        Texts([key.person for key, _ in rows]),
        Bigints([worker_of(key.person) for key, _ in rows]),
        Smallints([state.state for _, state in rows]),
        Instants([state.since_at for _, state in rows]),
        Smallints([state.entry_assurance for _, state in rows]),
        Smallints([state.doubts for _, state in rows]),
        Instants([state.last_at for _, state in rows]),
        Bigints([state.last_journal for _, state in rows]),
        Bigints([state.last_seq for _, state in rows]),
        Smallints([state.last_direction for _, state in rows]),
        Bigints([state.last_terminal_id for _, state in rows]),
        Texts([state.last_zone for _, state in rows]),
        Booleans([state.full_exit for _, state in rows]),
        Instants([state.settled_at for _, state in rows]),
        Bigints([state.settled_journal for _, state in rows]),
        Bigints([state.settled_seq for _, state in rows]),
        Instants([state.shift_at for _, state in rows]),
        Bigints([state.since_journal for _, state in rows]),
        Smallints([state.since_doubt for _, state in rows]),
        Smallints([state.last_doubt for _, state in rows]),
    ]


def worker_of(person: str) -> int | None:
    """Take the worker's id out of a person's name."""
    kind, _, number = person.partition(":")
    return int(number) if kind == "worker" else None


_TAP_COLUMNS = f"""e.journal, e.seq, e.occurred_at, e.direction, e.decision, e.assurance, e.terminal_id, e.zone,
  {DOUBT_SQL}"""
_KEPT = """(e.occurred_at > k.through_at OR e.received_at > k.known_at)
  AND e.occurred_at <= %s::timestamptz AND e.received_at <= %s::timestamptz"""
_WORKER_TAPS = f"""
SELECT k.place, {_TAP_COLUMNS}
FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::bigint[])
  k(place, site_id, through_at, known_at, worker_id)
JOIN attendance_event e ON e.site_id = k.site_id AND e.worker_id = k.worker_id
WHERE e.direction IS NOT NULL AND {_KEPT}
"""  # noqa: S608 - constants only
_CARD_TAPS = f"""
SELECT k.place, {_TAP_COLUMNS}
FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::bytea[])
  k(place, site_id, through_at, known_at, token)
JOIN attendance_event e ON e.site_id = k.site_id AND e.token = k.token
WHERE e.worker_id IS NULL AND e.direction IS NOT NULL AND {_KEPT}
"""  # noqa: S608 - constants only
_JOURNAL_NAMES = "SELECT id, journal_id::text FROM attendance_journal WHERE id = ANY(%s)"
_CARRIED = """
SELECT site_id, person, through_at, known_at, state FROM attendance_carried
WHERE (site_id, person) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
"""
_CARRY = """
INSERT INTO attendance_carried (site_id, person, through_at, known_at, state) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (site_id, person) DO UPDATE
SET through_at = EXCLUDED.through_at, known_at = EXCLUDED.known_at, state = EXCLUDED.state
"""
FOREVER = "infinity"


class Carry(NamedTuple):
    """A fold of taps that happened by `through_at` and were received by `known_at`; their rows may be gone."""

    through_at: datetime = datetime.min.replace(tzinfo=UTC)
    known_at: datetime = datetime.min.replace(tzinfo=UTC)
    state: State | None = None


def folded(connection: Connection, keys: list[PersonKey]) -> dict[PersonKey, State | None]:
    """Fold persons from all their taps, those no longer kept included."""
    carries = _carried(connection, keys)
    taps = _taps(connection, keys, carries, through_at=FOREVER, known_at=FOREVER)
    return {key: fold(mine, after=carry.state) for key, carry, mine in zip(keys, carries, taps, strict=True)}


def carry(connection: Connection, keys: list[PersonKey], *, through_at: datetime, known_at: datetime) -> None:
    """Keep where these taps leave each person, so that a fold can go on without them. May be repeated."""
    carries = _carried(connection, keys)
    taps = _taps(connection, keys, carries, through_at=through_at, known_at=known_at)
    states = [fold(mine, after=one.state) for one, mine in zip(carries, taps, strict=True)]
    with connection.cursor() as cursor:
        cursor.executemany(
            _CARRY,
            [
                (*key, through_at, known_at, Jsonb(_plain(state)))
                for key, state in zip(keys, states, strict=True)
                if state is not None
            ],
        )


def _carried(connection: Connection, keys: list[PersonKey]) -> list[Carry]:
    given = (Bigints([key.site_id for key in keys]), Texts([key.person for key in keys]))
    found = {
        PersonKey(row[0], row[1]): Carry(row[2], row[3], _state(row[4])) for row in connection.execute(_CARRIED, given)
    }
    return [found.get(key, Carry()) for key in keys]


def _plain(state: State) -> dict[str, Any]:
    return {
        name: at.isoformat() if isinstance(at, datetime) else at for name, at in msgspec.structs.asdict(state).items()
    }


def _state(plain: dict[str, Any]) -> State:
    values: dict[str, Any] = {
        name: datetime.fromisoformat(at) if name.endswith("_at") and at else at for name, at in plain.items()
    }
    return State(**{name: values[name] for name in State.__struct_fields__})


def _taps(
    connection: Connection,
    keys: list[PersonKey],
    carries: list[Carry],
    *,
    through_at: datetime | str,
    known_at: datetime | str,
) -> list[list[CountedTap]]:
    """Read the taps of each person that its carry does not hold, up to these instants."""
    workers: list[tuple[Any, ...]] = []
    cards: list[tuple[Any, ...]] = []
    for place, (key, held) in enumerate(zip(keys, carries, strict=True)):
        mine = (place, key.site_id, held.through_at, held.known_at)
        if _is_worker(key):
            workers.append((*mine, worker_of(key.person)))
        else:
            cards.append((*mine, bytes.fromhex(key.person.removeprefix("card:"))))
    rows: list[tuple[Any, ...]] = []
    with connection.cursor(binary=True) as cursor:
        for query, wanted in ((_WORKER_TAPS, workers), (_CARD_TAPS, cards)):
            if wanted:
                numbers, sites, through, known, who = (list(column) for column in zip(*wanted, strict=True))
                bounds = (Bigints(numbers), Bigints(sites), Instants(through), Instants(known))
                rows += cursor.execute(query, (*bounds, who, through_at, known_at)).fetchall()
        # Not by a join: that would look a name up once for each tap.
        names = dict(cursor.execute(_JOURNAL_NAMES, (list({row[1] for row in rows}),)).fetchall()) if rows else {}
    taps: list[list[CountedTap]] = [[] for _ in keys]
    for place, *tap, doubt in rows:
        whole = (*tap, names[tap[0]], doubt)
        taps[place].append(CountedTap(*whole))
    return taps


def _is_worker(key: PersonKey) -> bool:
    return key.person.startswith("worker:")


def refold(connection: Connection, keys: Iterable[PersonKey]) -> list[PersonKey]:
    """Fold persons from zero and write what differs; returns whose row differed."""
    waiting, differed = sorted(set(keys)), []
    while waiting:
        part, waiting = waiting[:PERSONS_A_REFOLD_MAX], waiting[PERSONS_A_REFOLD_MAX:]
        rows = locked(connection, part)
        states = {key: state for key, state in folded(connection, part).items() if state != rows.get(key)}
        again = write(connection, states, there=rows.keys())
        differed += [key for key in states if key not in again]
        waiting = again + waiting
    return differed


_RESOLVE = """
UPDATE attendance_event e SET worker_id = x.new_worker
FROM (
  SELECT o.journal, o.seq, o.worker_id AS old_worker, (
    SELECT a.worker_id FROM registry_card c JOIN registry_card_assignment a ON a.card_id = c.id
    WHERE c.token = encode(o.token, 'hex')
      AND a.from_at <= o.occurred_at AND (a.until_at IS NULL OR o.occurred_at < a.until_at)
  ) AS new_worker
  FROM attendance_event o WHERE o.token = ANY(%s::bytea[])
) x
WHERE e.journal = x.journal AND e.seq = x.seq AND x.old_worker IS DISTINCT FROM x.new_worker
RETURNING e.site_id, e.token, x.old_worker, x.new_worker
"""


def resolve_again(connection: Connection, tokens: Iterable[bytes]) -> set[int]:
    """Find the holders of these cards' taps anew, as of each tap, and fold whoever gained or lost one.

    Returns the sites where something changed. Bytes and hashes of the events stay as they are (EVD-01).
    """
    touched: set[PersonKey] = set()
    every = sorted(set(tokens))
    for start in range(0, len(every), TOKENS_A_STEP_MAX):
        for site_id, token, old, new in connection.execute(_RESOLVE, (every[start : start + TOKENS_A_STEP_MAX],)):
            touched.add(PersonKey(site_id, person_of(old, token)))
            touched.add(PersonKey(site_id, person_of(new, token)))
    refold(connection, touched)
    return {key.site_id for key in touched}
