"""Reading a write-ahead log as bytes, before SQLite does. Pure.

SQLite takes the first frame that does not check for the end of the log: right after a power cut, where only the last
transaction can be unfinished, and wrong when a bit changed, where it would drop synced events unseen. A frame's sum has
64 bits and is linear: whether one bit makes it right again is seen at once, mostly also which, and no torn write looks
like that.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
SUMMED_HEADER_BYTES = 8
PAGE_BYTES_MAX = 65_536
SECTOR_BYTES = 512
PAGES_MAX = 2**24
"""No journal has so many pages: 64 GiB at SQLite's usual 4 KiB."""
_MAGIC_LITTLE, _MAGIC_BIG = 0x377F0682, 0x377F0683
_NAMED = re.compile(rb'"id":"([0-9a-f-]{36})-([0-9]{20})","sequence":"\2"')
_MASK = 0xFFFF_FFFF

_Sum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Frame:
    number: int
    """From 1."""
    start: int
    """Its place in the log."""
    is_current: bool
    """Whether it carries the salts of the header: older frames lie behind the end."""
    is_commit: bool
    """Whether it ended a transaction when its sum was made."""
    stored: _Sum
    """The sum that stands in it."""
    summed: _Sum
    """The sum of its bytes, from the one stored in the frame before; equal to `stored` when it is whole."""

    @property
    def is_whole(self) -> bool:
        """Whether it is the next frame of this log, as it was written."""
        return self.is_current and self.stored == self.summed


@dataclass(frozen=True, slots=True)
class Named:
    """The newest event whose number can be read in raw bytes."""

    journal_id: str
    seq: int


def changed_bit(log: bytes) -> int | None:
    """Return the one bit (its byte times 8, plus its place) that keeps the next frame from being read.

    None when no single bit makes the frame's sum right, as in what a power cut left unfinished, or several could.
    """
    if not any(log[:HEADER_BYTES]) or len(log) < HEADER_BYTES:
        return None
    if not _header_checks(log):
        bits = range(HEADER_BYTES * 8)
        return next((bit for bit in bits if _header_checks(flipped(log[:HEADER_BYTES], bit))), None)
    frame = next((frame for frame in _frames(log) if not frame.is_whole), None)
    found = set() if frame is None else _candidates(log, frame)
    return found.pop() if len(found) == 1 else None


def _candidates(log: bytes, frame: _Frame) -> set[int]:
    """Return the bits any of which makes this frame's sum right."""
    if not frame.is_current:
        salts, wanted = (int.from_bytes(log[at : at + 8], "big") for at in (frame.start + 8, 16))
        bit = _only_bit(salts ^ wanted, 64)
        return {(frame.start + 8) * 8 + bit} if bit is not None and frame.stored == frame.summed else set()
    stored, summed = (one[0] << 32 | one[1] for one in (frame.stored, frame.summed))
    bit = _only_bit(stored ^ summed, 64)
    in_the_sum = {(frame.start + 16) * 8 + bit} if bit is not None else set()
    return in_the_sum | _candidate_words(log, frame)


def _candidate_words(log: bytes, frame: _Frame) -> set[int]:
    """Find the words whose change by one bit makes up the difference: what a word adds to the sum depends on its place.

    Going back from the last pair of words, a difference (u, v) in the sum grows to (u + v, u + 2v) with each pair. One
    of the two always stays odd, so the lowest bit missing in the sum is the bit that changed. What only the uppermost
    bits could tell is cut off, so several words may come into question.
    """
    found: set[int] = set()
    if frame.stored == frame.summed:
        return found
    missing = ((frame.stored[0] - frame.summed[0]) & _MASK, (frame.stored[1] - frame.summed[1]) & _MASK)
    page = range(frame.start + FRAME_HEADER_BYTES, frame.start + FRAME_HEADER_BYTES + page_bytes(log), 4)
    places = [*range(frame.start, frame.start + SUMMED_HEADER_BYTES, 4), *page]
    number = _lowest_bit(missing[0] | missing[1])
    even, odd = (1, 1), (0, 1)
    for first, second in zip(places[-2::-2], places[::-2], strict=True):
        for place, (u, v) in ((first, even), (second, odd)):
            for change in (1 << number, -1 << number):
                if (change * u & _MASK, change * v & _MASK) == missing:
                    found |= _bit_of_word(log, place, number, change)
        even, odd = _grown(even), _grown(odd)
    return found


def _lowest_bit(number: int) -> int:
    return (number & -number).bit_length() - 1


def _grown(difference: _Sum) -> _Sum:
    u, v = difference
    return (u + v) & _MASK, (u + 2 * v) & _MASK


def _bit_of_word(log: bytes, place: int, number: int, change: int) -> set[int]:
    """Say where in the log bit `number` of the word at `place` lies; nowhere when it already is what it should be."""
    is_little = _order(log) == "<"
    word = int.from_bytes(log[place : place + 4], "little" if is_little else "big")
    if bool(word >> number & 1) == (change > 0):
        return set()
    return {(place + (number // 8 if is_little else 3 - number // 8)) * 8 + number % 8}


def _only_bit(difference: int, width: int) -> int | None:
    """Return which bit differs, counted by bytes in big-endian order, None unless exactly one does."""
    if difference.bit_count() != 1:
        return None
    number = difference.bit_length() - 1
    return (width // 8 - 1 - number // 8) * 8 + number % 8


def flipped(content: bytes, bit: int) -> bytes:
    """Return `content` with one bit (byte times 8, plus its place) changed."""
    place = bit // 8
    return content[:place] + bytes([content[place] ^ 1 << bit % 8]) + content[place + 1 :]


def log_trouble(log: bytes) -> str:
    """Say why the log must not be read on: transactions that were synced follow a frame that changed. Or nothing."""
    if len(log) < HEADER_BYTES or not _header_checks(log):
        return ""
    bad: _Frame | None = None
    was_synced = False
    for frame in _frames(log):
        if bad is None:
            if frame.is_whole:
                continue
            bad = frame
        elif was_synced and frame.is_whole:
            return f"frame {bad.number} of its log changed, and synced transactions follow it"
        # A commit is synced before the next transaction's first frame is written.
        was_synced = was_synced or frame.is_commit
    return ""


def unread(log: bytes) -> bytes:
    """Return what SQLite leaves out although it may have been synced: ask what events it names.

    That is all behind a changed header, or a frame of which nobody can tell which bit changed: as it was before each
    change that comes into question, for the bit may stand in an event's name. A torn write can look like either.
    """
    if len(log) < HEADER_BYTES or not any(log[:HEADER_BYTES]):
        return b""
    if not _header_checks(log):
        return log
    frame = next((frame for frame in _frames(log) if not frame.is_whole), None)
    if frame is None:
        return b""
    written = log[frame.start : frame.start + FRAME_HEADER_BYTES + page_bytes(log)]
    return b"".join(flipped(written, bit - frame.start * 8) for bit in sorted(_candidates(log, frame)))


def page_bytes(log: bytes) -> int:
    """Return the page size that the log's header names."""
    return int(struct.unpack(">I", log[8:12])[0])


def _order(log: bytes) -> str:
    return "<" if struct.unpack(">I", log[:4])[0] == _MAGIC_LITTLE else ">"


def _header_checks(log: bytes) -> bool:
    magic, _, size = struct.unpack(">III", log[:12])
    if magic not in {_MAGIC_LITTLE, _MAGIC_BIG} or not SECTOR_BYTES <= size <= PAGE_BYTES_MAX:
        return False
    return _sum(log[:24], (0, 0), _order(log)) == struct.unpack(">II", log[24:32])


def _frames(log: bytes) -> Iterator[_Frame]:
    salts, order = log[16:24], _order(log)
    before: _Sum = struct.unpack(">II", log[24:32])
    size = FRAME_HEADER_BYTES + page_bytes(log)
    for number, start in enumerate(range(HEADER_BYTES, len(log) - size + 1, size), 1):
        header = log[start : start + FRAME_HEADER_BYTES]
        stored: _Sum = struct.unpack(">II", header[16:24])
        apart = (int.from_bytes(header[8:16], "big") ^ int.from_bytes(salts, "big")).bit_count()
        summed, is_commit = (0, 0), any(header[4:8])
        if apart <= 1:  # an older frame is not worth the sum
            page = log[start + FRAME_HEADER_BYTES : start + size]
            summed = _sum(page, _sum(header[:SUMMED_HEADER_BYTES], before, order), order)
            if summed != stored:
                is_commit = _was_commit(log, start, before)
        yield _Frame(number, start, apart == 0, is_commit, stored, summed)
        before = stored


def _was_commit(log: bytes, start: int, before: _Sum) -> bool:
    """Say of a frame that does not check whether it ended a transaction, as far as that can be known.

    A transaction that was given up leaves its frames where the next one is written. When the disk takes only the
    beginning of the new header, that is not the old frame's any more, but its page is, and so is its sum, which the
    frame behind it continues: they give the old header back. Else the header stands as it is, unless it may be torn
    between sectors.
    """
    order, size = _order(log), page_bytes(log)
    header, page = log[start : start + FRAME_HEADER_BYTES], start + FRAME_HEADER_BYTES
    ends = [struct.unpack(">II", header[16:24])]
    behind = log[page + size : page + size + FRAME_HEADER_BYTES + size]
    if len(behind) == FRAME_HEADER_BYTES + size:
        summed = behind[:SUMMED_HEADER_BYTES] + behind[FRAME_HEADER_BYTES:]
        ends.insert(0, _sum_before(summed, struct.unpack(">II", behind[16:24]), order))
    for end in ends:
        first, second = _sum_before(log[page : page + size], end, order)
        words = (first - before[0] - before[1]) & _MASK, (second - before[1] - first) & _MASK
        page_number, pages = struct.unpack(">II", struct.pack(f"{order}II", *words))
        if 0 < page_number < PAGES_MAX and (pages == 0 or page_number <= pages < PAGES_MAX):
            return bool(pages)
    return any(header[4:8]) and start % SECTOR_BYTES + FRAME_HEADER_BYTES <= SECTOR_BYTES


def _sum(content: bytes, start: _Sum, order: str) -> _Sum:
    """Return SQLite's running sum over pairs of 32-bit words (https://sqlite.org/walformat.html)."""
    first, second = start
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second


def _sum_before(content: bytes, end: _Sum, order: str) -> _Sum:
    """Return the running sum from which `content` leads to `end`: `_sum` backwards."""
    first, second = end
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[-2::-2], words[::-2], strict=True):
        second = (second - odd - first) & _MASK
        first = (first - even - second) & _MASK
    return first, second


def newest_named(content: bytes | mmap) -> Named | None:
    """Return the newest event that raw bytes of a journal still name; None when there is none.

    A number counts only where the event gives it twice, so that one changed digit is not taken for a number.
    """
    newest = max(_NAMED.finditer(content), key=lambda found: found[2], default=None)
    return Named(newest[1].decode(), int(newest[2])) if newest is not None else None
