"""Readers that nfcpy drives itself (RC-S380, PN53x on USB or serial, its UDP driver): type A and FeliCa identifiers.

nfcpy has no notion of a card that stays: each look switches the field off and on, so a card that lies there answers
again. What is one presentation is decided here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import nfc
import nfc.clf

from edge_agent.cards.session import ID_ONLY, CardNotUsable, check_identity
from edge_agent.readers.base import Beat, CardSeen, CardUnreadable, Emit, ReaderConfig, ReaderFound, ReaderLost

_KINDS = ("106A", "212F")
_BETWEEN_LOOKS_S = 0.05
_REOPEN_S = 0.5
_GONE_AFTER_S = 0.5
_CONFIRM_S = 0.3
_CONFIRM_ATTEMPTS_MAX = 3
_SEL_RES_TYPE_2 = 0x00
_SEL_RES_DEP_BIT = 0x40
_IDM_OF_A_PHONE = b"\x01\xfe"
_READ_PAGE_0 = bytearray.fromhex("3000")
_POLL_AGAIN = bytearray.fromhex("0600FFFF0000")


class _Broken(Exception):
    """The reader itself does not answer any more; the message says how that showed."""


class Field:
    """What lies in the field, look by look: decides when a card is a new presentation. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._identity: bytes | None = None
        self._seen_at = 0.0

    def is_new(self, identity: bytes | None, at: float) -> bool:
        """Take one look. A card that is missed for less than half a second never left."""
        if identity is None:
            if self._identity is not None and at - self._seen_at >= _GONE_AFTER_S:
                self._identity = None
            return False
        new = identity != self._identity
        self._identity, self._seen_at = identity, at
        return new


class NfcReader:
    """One reader, opened by its nfcpy path and opened again whenever it went away."""

    def __init__(self, config: ReaderConfig, *, open_frontend: Callable[[str], Any] = nfc.ContactlessFrontend) -> None:
        self.name = config.name
        self._path = config.address
        self._open_frontend = open_frontend
        self._found: bool | None = None
        self._kinds = list(_KINDS)
        self._left_lying = True
        """Whether the card that is found first may have been there all the time."""

    def run(self, emit: Emit, stop: threading.Event, beat: Beat) -> None:
        """Read cards until `stop`; opens the device again after every failure."""
        while not stop.is_set():
            beat()
            try:
                frontend = self._open_frontend(self._path)
            except Exception as exc:  # noqa: BLE001  # tidy: broad-except nfcpy's drivers raise anything on a broken frame
                self._lost(emit, f"no reader answers on {self._path!r} ({exc}): plug it in or change its address")
                stop.wait(_REOPEN_S)
                continue
            self._found = True
            emit(ReaderFound(self.name, str(frontend.device)))
            try:
                self._look_for_cards(frontend, emit, stop, beat)
            except _Broken as exc:
                self._lost(emit, f"the reader on {self._path!r} stopped answering ({exc})")
                stop.wait(_REOPEN_S)
            finally:
                frontend.close()

    def _look_for_cards(
        self,
        frontend: Any,  # noqa: ANN401 - nfcpy has no types
        emit: Emit,
        stop: threading.Event,
        beat: Beat,
    ) -> None:
        field = Field()
        first = True
        unread: bytes | None = None
        while not stop.wait(_BETWEEN_LOOKS_S):
            beat()
            target = self._sense(frontend, stop)
            identity = None if target is None else _identity(target)
            lay_there, first, self._left_lying = first and self._left_lying, False, identity is not None
            new = field.is_new(identity, time.monotonic())
            if identity is None or not (new or identity == unread):
                continue
            # told already when it is not new; whoever goes on holding the card gets it read as soon as it answers
            read = self._present(frontend, target, identity, emit, stop, lay_there=lay_there, tell=new)
            unread = None if read else identity

    def _present(
        self,
        frontend: Any,  # noqa: ANN401 - nfcpy has no types
        target: Any,  # noqa: ANN401 - as above
        identity: bytes,
        emit: Emit,
        stop: threading.Event,
        *,
        lay_there: bool,
        tell: bool,
    ) -> bool:
        """Tell the card or, under `tell`, why it cannot be told. False when another try may still succeed."""
        try:
            _check(target, identity)
        except CardNotUsable as exc:
            emit(CardUnreadable(self.name, str(exc)))
            return True
        for attempt in range(_CONFIRM_ATTEMPTS_MAX):
            if attempt:
                target = self._sense(frontend, stop)
            if target is None or _identity(target) != identity:
                break
            if _confirmed(frontend, target):
                emit(CardSeen(self.name, identity, ID_ONLY, lay_there=lay_there))
                return True
        if tell:
            reason = "the card was pulled away before it was read: hold it until the colour shows"
            emit(CardUnreadable(self.name, reason))
        return False

    def _sense(self, frontend: Any, stop: threading.Event) -> Any | None:  # noqa: ANN401 - nfcpy has no types
        """Look once for each kind of card, the last one found first: a kind without answer may take a second."""
        for kind in tuple(self._kinds):
            if stop.is_set():
                return None
            try:
                target = frontend.sense(nfc.clf.RemoteTarget(kind))
            except nfc.clf.UnsupportedTargetError:
                continue  # a reader for the other kind only
            except Exception as exc:  # tidy: broad-except nfcpy's drivers raise anything on a broken frame
                raise _Broken(str(exc) or type(exc).__name__) from exc
            if target is not None:
                self._kinds.sort(key=lambda other: other != kind)
                return target
        return None

    def _lost(self, emit: Emit, reason: str) -> None:
        if self._found is not False:
            self._found = False
            emit(ReaderLost(self.name, reason))


def _identity(target: Any) -> bytes:  # noqa: ANN401 - nfcpy has no types
    """Take the UID of a type A card or the IDm of a FeliCa card."""
    return bytes(target.sdd_res) if target.brty.endswith("A") else bytes(target.sensf_res[1:9])


def _check(target: Any, identity: bytes) -> None:  # noqa: ANN401 - nfcpy has no types
    """Refuse phones: what they show is made up anew each time. Raise `CardNotUsable`."""
    phone = target.sel_res[0] & _SEL_RES_DEP_BIT if target.sel_res else identity.startswith(_IDM_OF_A_PHONE)
    if phone:
        raise CardNotUsable("this is a phone, not a card: use the site's own card")
    check_identity(identity)


def _confirmed(frontend: Any, target: Any) -> bool:  # noqa: ANN401 - nfcpy has no types
    """Whether the card still answers after it was found, asked of the kinds that have a harmless question."""
    if target.brty.endswith("F"):
        question = _POLL_AGAIN
    elif target.sel_res and target.sel_res[0] == _SEL_RES_TYPE_2:
        question = _READ_PAGE_0
    else:
        return True
    try:
        return bool(frontend.exchange(question, _CONFIRM_S))
    except nfc.clf.CommunicationError:
        return False
    except Exception as exc:  # tidy: broad-except nfcpy's drivers raise anything on a broken frame
        raise _Broken(str(exc) or type(exc).__name__) from exc
