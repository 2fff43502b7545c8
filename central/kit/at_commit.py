"""Notes of a transaction: taken as it goes on, acted on as it commits, gone with whatever of it is rolled back.

A session outlives its transaction: a form that is refused rolls back, and the request still commits what it read. What
the rollback undid must not be told of then, neither in the audit trail nor to other processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy.orm import SessionTransaction

    from central.kit.db import WriteSession

Note = TypeVar("Note")


class AtCommit(Generic[Note]):
    """One kind of notes, and what is done with those of a transaction just before it commits.

    `act` gets them once, in the order noted. A note of a savepoint counts from its release on; one that ends in any
    other way takes its notes along.
    """

    def __init__(self, kind: str, act: Callable[[WriteSession, list[Note]], None]) -> None:
        self._key = f"at_commit:{kind}"
        self._act = act

    def note(self, session: WriteSession, notes: Iterable[Note]) -> None:
        """Take notes in the session's transaction, which begins with them when there is none."""
        if not session.in_transaction():
            session.begin()
        if self._key not in session.info:
            session.info[self._key] = []
            event.listen(session, "before_commit", self._before_commit)
            event.listen(session, "after_commit", self._after_commit)
            event.listen(session, "after_transaction_end", self._after_end)
        where = session.get_nested_transaction()
        session.info[self._key] += [(where, note) for note in notes]

    def _noted(self, session: WriteSession) -> list[tuple[SessionTransaction | None, Note]]:
        """Each note with the innermost savepoint that it belongs to; None: to the whole transaction."""
        noted: list[tuple[SessionTransaction | None, Note]] = session.info[self._key]
        return noted

    def _before_commit(self, session: WriteSession) -> None:
        noted = self._noted(session)
        if noted and not session.in_nested_transaction():
            session.info[self._key] = []
            self._act(session, [note for _, note in noted])

    def _after_commit(self, session: WriteSession) -> None:
        """Hand the notes of a savepoint that was released on to whatever it was set in."""
        released = session.get_nested_transaction()
        if released is not None:
            outer = released.parent if released.parent is not None and released.parent.nested else None
            noted = self._noted(session)
            session.info[self._key] = [(outer if where is released else where, note) for where, note in noted]

    def _after_end(self, session: WriteSession, ended: SessionTransaction) -> None:
        """Forget the notes that nothing released or committed before this end."""
        if ended.parent is None:
            session.info[self._key] = []
        elif ended.nested:
            session.info[self._key] = [(where, note) for where, note in self._noted(session) if where is not ended]
