"""What stands in the input file of a batch. No I/O.

Source: platform.openai.com/docs/api-reference/batch/request-input; the limits of "Batch API" in the guides; read
2026-11.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.contract.batches import BatchProblem
from gateway.wire.disguised import disguised

MAX_LINES = 50_000
MAX_LINE_BYTES = 20 * 1024 * 1024
MAX_PROBLEMS = 20
"""That a batch tells of."""
MAX_CUSTOM_ID_CHARS = 512


class Line(msgspec.Struct, frozen=True):
    """One request. `body` is a JSON object."""

    custom_id: str
    body: dict[str, msgspec.Raw]
    url: str | None = None
    method: str | None = None


_line = msgspec.json.Decoder(Line)
_flag = msgspec.json.Decoder(bool | None)


def line_of(data: bytes) -> Line:
    """Raises ValueError, RecursionError: it is none."""
    return _line.decode(data)


class Validation:
    """Looks at one line after the other; `problems` says what is wrong with them, `total` how many there are."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.total = 0
        self.problems: list[BatchProblem] = []
        self._seen: set[str] = set()

    def look(self, lines: Iterable[bytes]) -> None:
        for data in lines:
            self.total += 1
            problem = self._problem(data)
            if problem is not None:
                code, message, param = problem
                self.problems.append(BatchProblem(code, message, self.total, param))
            if len(self.problems) >= MAX_PROBLEMS:
                return

    def end(self) -> tuple[BatchProblem, ...]:
        if not self.total:
            self.problems.append(BatchProblem("empty_file", "the input file holds no requests"))
        return tuple(self.problems)

    def _problem(self, data: bytes) -> tuple[str, str, str | None] | None:
        if self.total > MAX_LINES:
            return "too_many_requests", f"the input file has more than {MAX_LINES:,} requests", None
        if len(data) > MAX_LINE_BYTES:
            return "line_too_long", f"the request is over {MAX_LINE_BYTES:,} bytes", None
        try:
            line = line_of(data)
        except (ValueError, RecursionError) as error:
            return "invalid_json_line", f"this is no request as JSON: {str(error)[:200]}", None
        if not 0 < len(line.custom_id) <= MAX_CUSTOM_ID_CHARS:
            return "invalid_custom_id", f"custom_id has 1 to {MAX_CUSTOM_ID_CHARS} characters", "custom_id"
        if line.custom_id in self._seen:
            return "duplicate_custom_id", "another request has the same custom_id", "custom_id"
        self._seen.add(line.custom_id)
        if line.method not in (None, "POST"):
            return "invalid_method", "the method has to be POST", "method"
        if line.url not in (None, self.endpoint):
            return "mismatched_url", f"the url has to be the endpoint of the batch, {self.endpoint}", "url"
        if (name := disguised(line.body)) is not None:
            return "invalid_request", f'the field "{name}" is written in lower case', f"body.{name}"
        if _says_yes(line.body.get("stream")):
            return "invalid_request", "a request of a batch cannot be streamed: leave stream out", "body.stream"
        if _says_yes(line.body.get("background")):
            return "invalid_request", "a batch is in the background already: leave background out", "body.background"
        return None


class Splitter:
    """Cuts pieces of a file into lines; blank ones are left out. Of a line that is too long, the beginning is kept."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        first, *others = data.split(b"\n")
        self._keep(first)
        if not others:
            return []
        whole = [self._taken(), *others[:-1]]
        self._keep(others[-1])
        return [line for line in map(bytes.strip, whole) if line]

    def end(self) -> list[bytes]:
        rest = self._taken().strip()
        return [rest] if rest else []

    def _keep(self, part: bytes) -> None:
        if self._size <= MAX_LINE_BYTES:
            self._parts.append(part)
            self._size += len(part)

    def _taken(self) -> bytes:
        line, self._parts, self._size = b"".join(self._parts), [], 0
        return line


def answer(id_: str, custom_id: str, *, response: Any = None, error: dict[str, str] | None = None) -> bytes:
    """A line of an output or error file."""
    return msgspec.json.encode({"id": id_, "custom_id": custom_id, "response": response, "error": error}) + b"\n"


def _says_yes(raw: msgspec.Raw | None) -> bool:
    try:
        return raw is not None and bool(_flag.decode(raw))
    except msgspec.DecodeError:
        return True
