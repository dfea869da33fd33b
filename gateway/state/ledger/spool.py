"""Entries that the database cannot take just now, on disk until it can."""

from pathlib import Path

import msgspec

from gateway.contract.entry import Entry
from gateway.state import spool
from gateway.state.spool import MAX_BYTES, SEGMENT_BYTES, items_of

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


class Spool(spool.Spool[Entry]):
    """Each entry as JSON, with its bill."""

    def __init__(self, directory: Path, *, max_bytes: int = MAX_BYTES, segment_bytes: int = SEGMENT_BYTES) -> None:
        super().__init__(
            directory,
            encode=lambda entry: _encoder.encode(entry.billed()),
            decode=_decoder.decode,
            max_bytes=max_bytes,
            segment_bytes=segment_bytes,
        )


def records_of(data: bytes) -> tuple[list[Entry], int]:
    """The entries of a file, and how many of its bytes belong to none."""
    return items_of(data, _decoder.decode)
