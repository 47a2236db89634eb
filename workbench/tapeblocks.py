"""The blocks a tape is made of: bytes in, bytes out.

::

    tape    = magic block*
    block   = head payload
    head    = sync kind codec n raw packed first last crc(payload) crc(head)
    payload = zlib( received[n] length[n] channel[n] data ), or a channel as JSON

All numbers are little-endian; times of receipt are stored as differences.
"""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from workbench.sources.source import Frame

__all__ = [
    "CHANNEL",
    "FRAMES",
    "MAGIC",
    "Damaged",
    "Entry",
    "Head",
    "NotATape",
    "Scan",
    "TapeChannel",
    "describe",
    "pack",
    "pack_channel",
    "plain_url",
    "scan",
    "unpack",
    "utc",
]

_SIGNATURE = b"\x89WBTAPE"
_VERSION = 1
MAGIC = _SIGNATURE + bytes([_VERSION])
CHANNEL, FRAMES = 1, 2
_ZLIB = 1
_SYNC = b"\xb5BLK"
_HEAD = struct.Struct("<4sBBHIIIqqI")
_CRC = struct.Struct("<I")
_HEAD_SIZE = _HEAD.size + _CRC.size
#: One frame of the largest size allowed on a socket, and its columns, fit well.
_MAX_RAW = 256 * 1024 * 1024
_COLUMNS = (np.dtype("<i8"), np.dtype("<u4"), np.dtype("<u2"))
_STEP = 1 << 16


class NotATape(Exception):
    """The file is something else, or newer than this reader."""


class Damaged(Exception):
    """A block does not match its checksums or holds nonsense."""


@dataclass(frozen=True, slots=True)
class TapeChannel:
    """Whose frames a channel holds.

    Attributes
    ----------
    source, market : str
        The source's name and the provider's market.
    url : str
        The address it was connected to, without user, query and fragment.
    """

    source: str
    market: str
    url: str


class Head(NamedTuple):
    """The head of a block."""

    sync: bytes
    kind: int
    codec: int
    reserved: int
    n: int
    raw: int
    packed: int
    first: int
    last: int
    crc: int


class Entry(NamedTuple):
    """A block in a file: where its head is; no head marks bytes that are no block."""

    offset: int
    head: Head | None


@dataclass(slots=True)
class Scan:
    """What the heads of a file tell."""

    size: int
    torn: int = 0
    entries: list[Entry] = field(default_factory=list)
    channels: dict[int, TapeChannel] = field(default_factory=dict)


def plain_url(url: str) -> str:
    """Return an address without user, query and fragment.

    >>> plain_url("wss://me:secret@example.com:8443/stocks?apiKey=secret#x")
    'wss://example.com:8443/stocks'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def utc(time: int | None) -> str:
    """Return a time in ns as people read it, to the second; "" for None."""
    if time is None:
        return ""
    return f"{datetime.fromtimestamp(time // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def describe(path: Path, frames: int, start: int | None, end: int | None) -> str:
    """Return one line about a tape."""
    span = f", {utc(start)} to {utc(end)} UTC" if start is not None else ""
    return f"{str(path)!r}, {frames:,} frames{span}"


def pack_channel(number: int, channel: TapeChannel) -> bytes:
    """Return the block that declares a channel."""
    fields = {"source": channel.source, "market": channel.market, "url": channel.url}
    return _block(CHANNEL, number, json.dumps(fields).encode(), 0, 0)


def pack(items: Iterable[bytes | tuple[int, Sequence[Frame]]], size: int) -> Iterator[bytes]:
    """Turn frames with their channels into blocks of about a size, keeping the order.

    Parameters
    ----------
    items : iterable
        Ready blocks, which are passed through, and pairs of a channel and its frames.
    size : int
        Bytes of frames after which a block ends.
    """
    frames: list[Frame] = []
    channels: list[int] = []
    gathered = 0
    for item in items:
        if isinstance(item, bytes):
            if frames:
                yield _frames(frames, channels)
                frames, channels, gathered = [], [], 0
            yield item
            continue
        channel, group = item
        for frame in group:
            frames.append(frame)
            channels.append(channel)
            gathered += len(frame.data)
            if gathered >= size:
                yield _frames(frames, channels)
                frames, channels, gathered = [], [], 0
    if frames:
        yield _frames(frames, channels)


def _frames(frames: Sequence[Frame], channels: Sequence[int]) -> bytes:
    n = len(frames)
    received = np.fromiter((frame.received for frame in frames), _COLUMNS[0], n)
    lengths = np.fromiter((len(frame.data) for frame in frames), _COLUMNS[1], n)
    raw = b"".join(
        (
            np.diff(received, prepend=received[:1]).tobytes(),
            lengths.tobytes(),
            np.array(channels, _COLUMNS[2]).tobytes(),
            *(frame.data for frame in frames),
        )
    )
    # The clock may have stepped back: keep the first frame's time, which differences build
    # on, and let readers of heads have the largest.
    return _block(FRAMES, n, raw, int(received[0]), int(received.max()))


def _block(kind: int, count: int, raw: bytes, first: int, last: int) -> bytes:
    packed = zlib.compress(raw, 1)
    fields = (_SYNC, kind, _ZLIB, 0, count, len(raw), len(packed), first, last)
    head = _HEAD.pack(*fields, zlib.crc32(packed))
    return head + _CRC.pack(zlib.crc32(head)) + packed


def scan(file: BinaryIO) -> Scan:
    """Find the blocks of a tape from their heads.

    Bytes at the end that an interrupted write leaves (half a head, a block that goes beyond
    the end, zeros) are torn; anything else that is no block is damage.

    Raises
    ------
    NotATape
        If it does not start like one.
    """
    size = file.seek(0, 2)
    file.seek(0)
    magic = file.read(len(MAGIC))
    if not MAGIC.startswith(magic):
        if magic[:-1] == _SIGNATURE and magic[-1] > _VERSION:
            raise NotATape(f"was written by a newer version (format {magic[-1]})")
        raise NotATape("is not a tape")
    found = Scan(size)
    if len(magic) < len(MAGIC):
        found.torn = size
        return found
    offset = len(MAGIC)
    while offset < size:
        head = _head(file, offset)
        if head is None:
            following = _resync(file, offset + 1, size)
            if following == size and _torn(file, offset, size):
                break
        else:
            following = offset + _HEAD_SIZE + head.packed
            if following > size or (following == size and _zeros(file, size - 16, size)):
                break
        _enter(file, found, Entry(offset, head))
        offset = following
    found.torn = size - offset
    return found


def _enter(file: BinaryIO, found: Scan, entry: Entry) -> None:
    if entry.head is None or entry.head.kind != CHANNEL:
        found.entries.append(entry)
        return
    try:
        fields = json.loads(_payload(file, entry.offset, entry.head))
        channel = TapeChannel(str(fields["source"]), str(fields["market"]), str(fields["url"]))
        found.channels[entry.head.n] = channel
    except (Damaged, ValueError, KeyError, TypeError):
        found.entries.append(Entry(entry.offset, None))


def _head(file: BinaryIO, offset: int) -> Head | None:
    file.seek(offset)
    data = file.read(_HEAD_SIZE)
    if len(data) < _HEAD_SIZE or not data.startswith(_SYNC):
        return None
    if _CRC.unpack_from(data, _HEAD.size)[0] != zlib.crc32(data[: _HEAD.size]):
        return None
    head = Head(*_HEAD.unpack_from(data))
    return head if head.raw <= _MAX_RAW and head.codec == _ZLIB else None


def _resync(file: BinaryIO, offset: int, size: int) -> int:
    """Return where the next good head is, or the size of the file."""
    while offset < size:
        file.seek(offset)
        # One step and as much of the next as a mark that straddles them needs.
        chunk = file.read(_STEP + len(_SYNC) - 1)
        at = chunk.find(_SYNC)
        while at >= 0:
            if _head(file, offset + at) is not None:
                return offset + at
            at = chunk.find(_SYNC, at + 1)
        offset += _STEP
    return size


def _torn(file: BinaryIO, offset: int, size: int) -> bool:
    return size - offset < _HEAD_SIZE or _zeros(file, offset + _HEAD_SIZE, size)


def _zeros(file: BinaryIO, start: int, end: int) -> bool:
    """Tell whether bytes are all zero, as a file system leaves them after a power cut."""
    file.seek(start)
    return not any(file.read(min(_STEP, end - at)).strip(b"\0") for at in range(start, end, _STEP))


def _payload(file: BinaryIO, offset: int, head: Head) -> bytes:
    file.seek(offset + _HEAD_SIZE)
    packed = file.read(head.packed)
    if zlib.crc32(packed) != head.crc:
        raise Damaged("the checksum does not fit")
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(packed, head.raw + 1)
    except zlib.error as error:
        raise Damaged(str(error)) from None
    if len(raw) != head.raw:
        raise Damaged("the length does not fit")
    return raw


def unpack(
    file: BinaryIO, entry: Entry, channels: Mapping[int, TapeChannel]
) -> Iterator[tuple[int, Frame]]:
    """Yield the frames of a block with their channels.

    Raises
    ------
    Damaged
        Before the first frame, if any of it cannot be trusted.
    """
    head = entry.head
    if head is None:
        raise Damaged("no block starts here")
    if head.kind != FRAMES:
        # Kinds that later versions may add carry nothing we know.
        return
    raw = _payload(file, entry.offset, head)
    at = head.n * sum(column.itemsize for column in _COLUMNS)
    if at > len(raw):
        raise Damaged("it holds fewer frames than it tells")
    n = head.n
    received = (np.cumsum(np.frombuffer(raw, _COLUMNS[0], n)) + head.first).tolist()
    lengths = np.frombuffer(raw, _COLUMNS[1], n, n * 8)
    numbers = np.frombuffer(raw, _COLUMNS[2], n, n * 12)
    if at + int(lengths.sum(dtype=np.int64)) != len(raw):
        raise Damaged("the lengths of its frames do not add up")
    if not channels.keys() >= set(numbers.tolist()):
        raise Damaged("it names a channel that was not declared")
    ends = (np.cumsum(lengths, dtype=np.int64) + at).tolist()
    for channel, time, (start, end) in zip(
        numbers.tolist(), received, itertools.pairwise([at, *ends]), strict=True
    ):
        yield channel, Frame(time, raw[start:end])
