"""PC/SC readers through pcscd: one loop on `SCardGetStatusChange` that outlives the reader, the daemon and the card.

Of pyscard only the low-level calls are used: its `CardMonitor` never comes back after pcscd was restarted.
Every presentation is told: at most one `CardSeen`, or a `CardUnreadable`, which a `CardSeen` follows if the card is
held on and answers after all (RDR-01).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from smartcard import scard

from edge_agent.cards.keystore import KeyStore
from edge_agent.cards.session import CardNotUsable, CardRead, converse, read_card
from edge_agent.readers.base import Beat, CardSeen, CardUnreadable, Emit, ReaderConfig, ReaderFound, ReaderLost
from edge_agent.readers.presentations import Presentations
from edge_agent.readers.signals import signal_for

_POLL_MS = 250
_RETRY_S = 0.5
_READ_ATTEMPTS_MAX = 3
_REREAD_S = 0.05
_STATUS_BYTES = 2
_PNP = "\\\\?PnP?\\Notification"

_OK = scard.SCARD_S_SUCCESS
_READER_GONE = frozenset(
    {scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE, scard.SCARD_E_NO_READERS_AVAILABLE}
)
_WORTH_ANOTHER_TRY = frozenset(
    {
        scard.SCARD_W_RESET_CARD,
        scard.SCARD_W_UNPOWERED_CARD,
        scard.SCARD_W_UNRESPONSIVE_CARD,
        scard.SCARD_E_NOT_TRANSACTED,
        scard.SCARD_E_PROTO_MISMATCH,
        scard.SCARD_E_SHARING_VIOLATION,
        scard.SCARD_F_UNKNOWN_ERROR,
    }
)
_NOT_ALLOWED = frozenset({scard.SCARD_W_SECURITY_VIOLATION, scard.SCARD_E_NO_ACCESS})
_HUNG_UP = frozenset({scard.SCARD_F_COMM_ERROR, scard.SCARD_E_NO_SERVICE})
"""What a daemon that polkit guards leaves of a refusal: it hangs up."""
_LET_IT = "let polkit grant it pcscd's access_pcsc and access_card (install.sh --pcsc)"
_STATE_NOT_THERE = scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE


class PcscFailure(Exception):
    """A PC/SC call failed; `code` is its return code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{scard.SCardGetErrorMessage(code).rstrip('.')} (0x{code & 0xFFFFFFFF:08X})")
        self.code = code


class PcscReader:
    """One PC/SC reader, found by name."""

    def __init__(self, config: ReaderConfig, *, keys: KeyStore | None = None) -> None:
        self.name = config.name
        self._wanted = config.address
        self._keys = keys
        self._found: bool | None = None
        self._left_lying = True
        """Whether the card that lies there when the reader is found may have been there all the time."""
        self._lay_there = False

    def run(self, emit: Emit, stop: threading.Event, beat: Beat) -> None:
        """Read cards until `stop`; a new context whenever the daemon went away."""
        while not stop.is_set():
            beat()
            try:
                (context,) = _call(scard.SCardEstablishContext, scard.SCARD_SCOPE_USER)
                try:
                    self._watch(context, emit, stop, beat)
                finally:
                    scard.SCardReleaseContext(context)
            except PcscFailure as exc:
                self._lost(emit, f"the smart card service does not answer: {exc}; {_what_to_do(exc.code)}")
                stop.wait(_RETRY_S)

    def _watch(self, context: int, emit: Emit, stop: threading.Event, beat: Beat) -> None:
        """Attend the wanted reader whenever it is there; raise `PcscFailure` when the service fails."""
        while not stop.is_set():
            beat()
            reader, reason = choose(self._wanted, _readers(context))
            if reader is None:
                self._lost(emit, reason)
                _status(context, _PNP, scard.SCARD_STATE_UNAWARE)
                continue
            self._found = True
            emit(ReaderFound(self.name, reader))
            self._attend(context, reader, emit, stop, beat)
            if not stop.is_set():
                self._lost(emit, f"the reader {reader!r} was unplugged")

    def _attend(self, context: int, reader: str, emit: Emit, stop: threading.Event, beat: Beat) -> None:
        """Report every card until the reader is gone or `stop`."""
        seen = Presentations()
        state = scard.SCARD_STATE_UNAWARE
        unread = False
        first = True
        while not stop.is_set():
            beat()
            event = _status(context, reader, state)
            if event is not None:
                if event & _STATE_NOT_THERE:
                    return
                state = event & ~scard.SCARD_STATE_CHANGED
                look = seen.see(event)
                self._missed(look.missed, emit)
                present = bool(event & scard.SCARD_STATE_PRESENT)
                unread = present and (unread or look.new)
                lay_there, first, self._left_lying = first and self._left_lying, False, present
                if look.new:
                    self._lay_there = lay_there
                    unread = not self._present(context, reader, seen, emit, stop)
            elif unread:
                # told already; whoever goes on holding the card gets it read as soon as it answers
                unread = not self._present(context, reader, seen, emit, stop, tell=False)

    def _present(
        self,
        context: int,
        reader: str,
        seen: Presentations,
        emit: Emit,
        stop: threading.Event,
        *,
        tell: bool = True,
    ) -> bool:
        """Read the card that lies there and tell it, or why not. False when another try may still succeed."""
        reason = ""
        for _ in range(_READ_ATTEMPTS_MAX):
            try:
                self._read(context, reader, seen, emit)
            except PcscFailure as exc:
                reason = f"the card was pulled away or did not answer ({exc}): hold it until the colour shows"
                if exc.code in _NOT_ALLOWED:
                    reason = f"this terminal's user may not use cards ({exc}): {_LET_IT}"
                if exc.code not in _WORTH_ANOTHER_TRY or stop.wait(_REREAD_S):
                    break
            except CardNotUsable as exc:
                emit(CardUnreadable(self.name, str(exc)))
                return True
            else:
                return True
        if tell:
            emit(CardUnreadable(self.name, reason))
        return False

    def _read(self, context: int, reader: str, seen: Presentations, emit: Emit) -> None:
        handle, protocol = _call(
            scard.SCardConnect, context, reader, scard.SCARD_SHARE_EXCLUSIVE, scard.SCARD_PROTOCOL_ANY
        )
        # an authenticated session must not be left for the next program
        leave = scard.SCARD_LEAVE_CARD if self._keys is None else scard.SCARD_RESET_CARD
        try:
            # the handle belongs to the card that lies there now, which need not be the one that woke us
            now = _status(context, reader, scard.SCARD_STATE_UNAWARE)
            read = converse(read_card(self._keys, os.urandom), lambda apdu: _transmit(handle, protocol, apdu))
            if now is not None and not now & _STATE_NOT_THERE:
                look = seen.see(now)
                self._missed(look.missed + look.new, emit)
                self._lay_there = self._lay_there and not look.missed + look.new
            self._tell(read, reader, emit, lambda apdu: _transmit(handle, protocol, apdu))
        finally:
            _quietly(scard.SCardDisconnect, handle, leave)

    def _tell(self, read: CardRead, reader: str, emit: Emit, exchange: Callable[[bytes], bytes]) -> None:
        authentic, lay_there = not read.refused, self._lay_there
        answer = emit(CardSeen(self.name, read.identity, read.credential, authentic=authentic, lay_there=lay_there))
        signal = signal_for(reader, answer.shown) if answer is not None else None
        if signal is None:
            return
        try:
            exchange(signal)
        except PcscFailure:
            return  # the card is already gone and the tap is recorded: only the reader's own lamp stays dark

    def _missed(self, count: int, emit: Emit) -> None:
        for _ in range(count):
            emit(CardUnreadable(self.name, "a card was held too briefly to be read: hold it until the colour shows"))

    def _lost(self, emit: Emit, reason: str) -> None:
        if self._found is not False:
            self._found = False
            emit(ReaderLost(self.name, reason))


def _what_to_do(code: int) -> str:
    asked = "is pcscd running?"
    return f"{asked} If it is, {_LET_IT}" if code in _HUNG_UP else asked


def choose(wanted: str, readers: list[str]) -> tuple[str | None, str]:
    """Pick the reader meant by a configured name; else None and the sentence that says why."""
    if wanted in readers:
        return wanted, ""
    matching = [reader for reader in readers if wanted in reader]
    if len(matching) == 1 or (matching and not wanted):
        return matching[0], ""
    there = ", ".join(map(repr, readers)) or "none"
    if matching:
        return None, f"{len(matching)} readers match {wanted!r}: give more of the name; there are {there}"
    return None, f"no reader matches {wanted!r}: plug it in or change its address; there are {there}"


def _readers(context: int) -> list[str]:
    try:
        (readers,) = _call(scard.SCardListReaders, context, [])
    except PcscFailure as exc:
        if exc.code in _READER_GONE:
            return []
        raise
    return list(readers)


def _status(context: int, reader: str, known: int) -> int | None:
    """Wait for a state other than `known`; None when nothing changed, `STATE_UNKNOWN` when the reader is not there."""
    try:
        (states,) = _call(scard.SCardGetStatusChange, context, _POLL_MS, [(reader, known)])
    except PcscFailure as exc:
        if exc.code == scard.SCARD_E_TIMEOUT:
            return None
        if exc.code in _READER_GONE:
            return int(scard.SCARD_STATE_UNKNOWN)
        raise
    return int(states[0][1])


def _transmit(handle: int, protocol: int, apdu: bytes) -> bytes:
    header = scard.SCARD_PCI_T0 if protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1
    (response,) = _call(scard.SCardTransmit, handle, header, list(apdu))
    if len(response) < _STATUS_BYTES:  # some drivers answer nothing, without an error, once the card has left
        raise PcscFailure(scard.SCARD_E_NOT_TRANSACTED)
    return bytes(response)


def _call(function: Callable[..., Any], *arguments: Any) -> list[Any]:  # noqa: ANN401 - pyscard has no types
    """Call PC/SC; return what comes after the code, or raise `PcscFailure`."""
    try:
        result = function(*arguments)
    except SystemError as exc:  # what the binding raises on a handle whose daemon has died
        raise PcscFailure(scard.SCARD_E_INVALID_HANDLE) from exc
    code, *values = result if isinstance(result, (list, tuple)) else [result]
    if code != _OK:
        raise PcscFailure(code)
    return values


def _quietly(function: Callable[..., Any], *arguments: Any) -> None:  # noqa: ANN401 - as `_call`
    """Let go of something that may be gone already, which is what was wanted."""
    try:
        _call(function, *arguments)
    except PcscFailure:
        return
