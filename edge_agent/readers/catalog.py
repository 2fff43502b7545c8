"""Configuration to driver. A driver's library is imported only when a reader asks for it: the demo has no pyscard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.readers.base import Reader, ReaderConfig, ReaderUnusable

if TYPE_CHECKING:
    from edge_agent.cards.keystore import KeyStore


def open_reader(config: ReaderConfig, *, keys: KeyStore | None = None) -> Reader:
    """Build the driver of a configured reader; opens no device yet. Raise `ReaderUnusable` when its library is missing.

    With `keys`, cards that can prove themselves are asked to; without, each is read by its identifier only.
    """
    driver = _DRIVERS.get(config.driver)
    if driver is None:
        known = ", ".join(sorted(_DRIVERS))
        raise ReaderUnusable(f"reader {config.name!r}: there is no driver {config.driver!r}, use one of {known}")
    try:
        return driver(config, keys)
    except ImportError as exc:
        raise ReaderUnusable(
            f"reader {config.name!r}: the driver {config.driver!r} needs a package that is not installed here "
            f"({exc.name}): install the extra {_EXTRAS[config.driver]!r}"
        ) from exc


def _pcsc(config: ReaderConfig, keys: KeyStore | None) -> Reader:
    from edge_agent.readers.pcsc import PcscReader

    return PcscReader(config, keys=keys)


def _nfc(config: ReaderConfig, _keys: KeyStore | None) -> Reader:
    from edge_agent.readers.nfc import NfcReader

    return NfcReader(config)


def _socket(config: ReaderConfig, _keys: KeyStore | None) -> Reader:
    from edge_agent.readers.remote import SocketReader

    return SocketReader(config)


_DRIVERS = {"pcsc": _pcsc, "nfc": _nfc, "socket": _socket}
_EXTRAS = {"pcsc": "pcsc", "nfc": "edge", "socket": "edge"}
