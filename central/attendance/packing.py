"""Whole columns as PostgreSQL's binary arrays, packed at once. The driver packs a value at a time, for any type."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import TYPE_CHECKING

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg.abc import Buffer

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NULL = b"\xff\xff\xff\xff"


class Packed:
    """An array parameter, ready to send."""

    __slots__ = ("data",)

    def __init__(self, element: int, parts: Sequence[bytes] | bytes, count: int, *, nulls: bool = False) -> None:
        body = parts if isinstance(parts, bytes) else b"".join(parts)
        head = struct.pack("!iiIii", 1, int(nulls), element, count, 1) if count else struct.pack("!iiI", 0, 0, element)
        self.data = head + body


class Bigints(Packed):
    """`bigint[]`, with nulls where there are."""

    def __init__(self, values: Sequence[int | None]) -> None:
        if None in values:
            parts = [_NULL if value is None else struct.pack("!iq", 8, value) for value in values]
            super().__init__(20, parts, len(values), nulls=True)
        else:
            super().__init__(20, _fixed("iq", 8, values), len(values))


class Smallints(Packed):
    """`smallint[]` without nulls."""

    def __init__(self, values: Sequence[int]) -> None:
        super().__init__(21, _fixed("ih", 2, values), len(values))


class Booleans(Packed):
    """`boolean[]` without nulls."""

    def __init__(self, values: Sequence[bool]) -> None:
        super().__init__(16, _fixed("i?", 1, values), len(values))


class Instants(Packed):
    """`timestamptz[]` of aware instants, with nulls where there are."""

    def __init__(self, values: Sequence[datetime | None]) -> None:
        if None in values:
            parts = [_NULL if at is None else struct.pack("!iq", 8, (at - _EPOCH) // _MICROSECOND) for at in values]
            super().__init__(1184, parts, len(values), nulls=True)
        else:
            counted = [(at - _EPOCH) // _MICROSECOND for at in values if at is not None]
            super().__init__(1184, _fixed("iq", 8, counted), len(values))


class Texts(Packed):
    """`text[]` without nulls."""

    def __init__(self, values: Sequence[str]) -> None:
        parts = [struct.pack("!i", len(one)) + one for one in map(str.encode, values)]
        super().__init__(25, parts, len(values))


def _fixed(form: str, size: int, values: Iterable[int | None]) -> bytes:
    """Pack values of one size, each after its length in bytes."""
    flat = list(chain.from_iterable(zip(repeat(size), values, strict=False)))
    return struct.pack("!" + form * (len(flat) // 2), *flat)


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> Buffer:
        """Send it as it stands."""
        return obj.data


def _register() -> None:
    """Teach the driver the kinds of arrays, by the numbers that PostgreSQL has given their types for ever."""
    for kind, oid in ((Bigints, 1016), (Smallints, 1005), (Booleans, 1000), (Instants, 1185), (Texts, 1009)):
        psycopg.adapters.register_dumper(kind, type(f"{kind.__name__}Dumper", (_PackedDumper,), {"oid": oid}))


_register()
