"""The client's end of a reply that has to pass guardrails first."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import structlog

from gateway.contract import Dialect, Hook, Text
from gateway.errors import BrokeOff, GatewayError
from gateway.logs import traceback_text
from gateway.proxy.asgi import Headers
from gateway.proxy.bodies import LARGE
from gateway.proxy.exchange import Exchange
from gateway.proxy.guarding import Guarding, Panel
from gateway.proxy.held import HeldStream
from gateway.proxy.segments import Segments
from gateway.proxy.writer import ResponseWriter
from gateway.wire.wording import TooManyTexts, Wording, answer_spots, without_tokens

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that is no stream."""
LARGE_PIECE = 16 * 1024
"""Bytes of a stream that are looked at at once: hostile ones take some microseconds each."""
_OUT = Hook.LLM_OUTPUT
_STREAM = "text/event-stream"
_MEDIA = ("audio/", "image/", "video/")
"""What holds no words."""

log = structlog.get_logger(__name__)


class GuardedWriter(ResponseWriter):
    """Gives a reply on to another writer, as far as guardrails let it through.

    Args:
        passed: waits for those that judge the request; raises Blocked.
    """

    def __init__(
        self,
        writer: ResponseWriter,
        exchange: Exchange,
        guarding: Guarding,
        panel: Panel,
        passed: Callable[[], Awaitable[None]],
    ) -> None:
        self._writer = writer
        self._exchange = exchange
        self._guarding = guarding
        self._panel = panel
        self._passed: Callable[[], Awaitable[None]] | None = passed
        self._has_taken = False
        self._content_type = ""
        self._head: tuple[int, Headers] | None = None
        self._has_head = False
        self._document: tuple[int, str] | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._held: HeldStream | None = None
        self._segments: Segments | None = None
        self._behind: Sequence[Text] = ()
        self._is_loose = False

    # what others look at

    @property
    def has_content(self) -> bool:
        return self._has_taken or self._writer.has_content

    @property
    def is_stream(self) -> bool:
        return self._writer.is_stream

    @is_stream.setter
    def is_stream(self, _: bool) -> None: ...

    @property
    def is_writing(self) -> bool:
        return self._writer.is_writing

    @is_writing.setter
    def is_writing(self, _: bool) -> None: ...

    # whole answers

    async def whole(self, status: int, content_type: str, body: bytes) -> None:
        self._has_taken = True
        await self.opened()
        if self._panel.checks:
            body = await self._checked_body(content_type, body)
        self._guarding.report()
        await self._writer.whole(status, content_type, body)

    async def start(self, status: int, headers: Headers) -> None:
        """It is large, or in a form of the vendor's own. A document is kept until all of it has come."""
        kind = next((value for name, value in headers if name == b"content-type"), b"application/json").decode(
            "latin-1"
        )
        if not self._panel.checks or kind.startswith(_MEDIA):
            self._is_loose = True
            await self.opened()
            self._guarding.report()
            await self._writer.start(status, headers)
            self._has_head = True
        elif kind.lower().startswith(_STREAM):
            self._head = status, [line for line in headers if line[0] != b"content-length"]
            await self.start_stream(kind)
        else:
            self._document = status, kind

    async def _checked_body(self, content_type: str, body: bytes) -> bytes:
        """Raises Blocked."""
        if not body or content_type.startswith(_MEDIA):
            return body
        is_text = content_type.startswith("text/")
        answer = await _decoded(body, is_text=is_text)
        if answer is None:
            self._fail("answers of this kind cannot be looked at")
            return body
        try:
            wording = _wording(answer) if len(body) <= LARGE else await asyncio.to_thread(_wording, answer)
        except TooManyTexts as error:
            self._fail(str(error))
            return body
        changed = await self._pass(wording, None if is_text else answer)
        if changed is None:
            return body
        if is_text:
            return str(changed[0]).encode()
        return msgspec.json.encode(changed) if len(body) <= LARGE else await asyncio.to_thread(_encoded, changed)

    async def _pass(self, wording: Wording, answer: Any) -> Any:
        """The answer with what was changed in it; None: nothing was. Raises Blocked."""
        guarding, document, is_changed = self._guarding, answer, False
        for check in self._panel.mutators:
            result = await guarding.ask(check, _OUT, _texts(wording), document)
            guarding.refuse(_OUT, [result])
            if result.span.result != "mutated" or result.finding is None:
                continue
            is_changed = True
            if result.finding.texts is not None:
                wording.put(wording.changes(result.finding.texts))
            else:
                document = result.finding.body
                wording = Wording(answer_spots(document))
        texts = _texts(wording)
        judges = [check for check in self._panel.judges if check.blocks]
        guarding.refuse(_OUT, await guarding.ask_all(judges, _OUT, texts, document))
        self._behind = texts
        if not is_changed:
            return None
        if document is None:
            return [spot.holder[spot.key] for spot in wording.spots]
        without_tokens(document)
        return document

    # streams

    async def start_stream(self, content_type: str) -> None:
        """The head goes out with the first bytes, so that until then a refusal is a status."""
        self._content_type = content_type
        checks = [check for check in self._panel.checks if check.blocks]
        if not self._panel.checks or not content_type.lower().startswith(_STREAM):
            if any(check.blocks_on_error for check in checks):
                self._fail("answers of this kind cannot be looked at")
            self._is_loose = True
            return
        finding = [check for check in (*self._panel.mutators, *self._panel.judges) if check.blocks and check.finder]
        asking = [check for check in checks if not check.finder]
        is_whole = any(check.mutates or check.needs_whole for check in asking)
        self._segments = Segments(self._guarding, finding, [] if is_whole else asking, self._panel.judges)
        finders = [] if is_whole else [check.finder for check in finding if check.finder is not None]
        self._held = HeldStream(finders, is_whole=is_whole)

    async def write(self, data: bytes) -> None:
        self._has_taken = True
        if self._document is not None:
            self._keep(data)
            return
        out = await self._through(data, is_end=False)
        if out:
            await self._send_on(out)

    async def finish(self, data: bytes = b"") -> None:
        self._has_taken = True
        if self._document is not None:
            self._keep(data)
            status, kind = self._document
            await self.whole(status, kind, b"".join(self._parts))
            return
        out = await self._through(data, is_end=True)
        await self._begin()
        await self._writer.finish(out)

    async def flush(self) -> None:
        """The stream has broken off: what came of it goes out, as far as it may. Raises Blocked."""
        if self._has_taken and self._content_type and not self._is_loose:
            out = await self._through(b"", is_end=True)
            if out:
                await self._send_on(out)

    async def ended(self) -> None:
        """Asks those that only write down what they think, now that the answer is out."""
        audits = [check for check in self._panel.judges if not check.blocks]
        texts = self._segments.everything() if self._segments is not None else self._behind
        await self._guarding.ask_all(audits, _OUT, texts)

    def _keep(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > MAX_ANSWER:
            raise BrokeOff(f"the answer is over {MAX_ANSWER:,} bytes, which is more than guardrails look at")

    async def _send_on(self, out: bytes) -> None:
        await self._begin()
        await self._writer.write(out)
        self._writer.is_writing = False

    async def _begin(self) -> None:
        """Sends the head, unless it is out. Raises Blocked."""
        await self.opened()
        if self._has_head:
            return
        self._has_head = True
        if not self._writer.is_stream:  # else a comment had to go before it
            self._guarding.report()
        if self._head is not None:
            await self._writer.start(*self._head)
        else:
            await self._writer.start_stream(self._content_type)

    async def opened(self) -> None:
        """Once those that judge the request have let it pass. Raises Blocked."""
        if self._passed is not None:
            await self._passed()
            self._passed = None

    async def _through(self, data: bytes, *, is_end: bool) -> bytes:
        """What may go out now. Raises Blocked."""
        held, segments = self._held, self._segments
        if self._is_loose or held is None or segments is None:
            return data
        try:
            out = await _beside(held.feed, data, size=len(data)) if data else b""
            if is_end and not held.is_whole:
                out += await _beside(held.end, size=held.size)
        except GatewayError:
            raise
        except TooManyTexts as error:
            return self._let_go(str(error), held)
        except Exception:  # a finder's
            log.error("guardrail failed", request_id=self._exchange.id, traceback=traceback_text())
            return self._let_go("a guardrail failed", held)
        segments.take(held)
        if held.is_too_large:
            return self._let_go("the answer is too large to be looked at", held)
        if held.is_whole:
            return await self._whole_stream(held) if is_end else b""
        out = await segments.released(out, is_end=is_end)
        if is_end:
            segments.end()
        return out

    async def _whole_stream(self, held: HeldStream) -> bytes:
        held.complete()
        try:
            wording = held.wording()
        except TooManyTexts as error:
            return self._let_go(str(error), held)
        await self._pass(wording, None)
        return held.end()

    def _let_go(self, why: str, held: HeldStream) -> bytes:
        """Raises Blocked, unless errors are to be passed over."""
        if any(check.blocks_on_error for check in self._panel.checks):
            self._fail(why)
        self._is_loose = True
        return held.rest()

    def _fail(self, why: str) -> None:
        """Raises Blocked in the name of those for whom an error is a reason to."""
        failed = [check for check in self._panel.checks if check.blocks_on_error]
        self._guarding.refuse(_OUT, [self._guarding.failed(check, _OUT, why) for check in failed])

    def keep_alive(self) -> None:
        self._writer.keep_alive()

    async def fail(self, error: GatewayError, dialect: Dialect) -> None:
        await self._writer.fail(error, dialect)

    def close(self) -> None:
        self._writer.close()


def _texts(wording: Wording) -> list[Text]:
    return [Text(spot.role, str(spot.holder[spot.key])) for spot in wording.spots]


async def _beside(work: Callable[..., bytes], *arguments: bytes, size: int) -> bytes:
    """A large piece is looked at beside the event loop: others have their turn meanwhile."""
    return work(*arguments) if size <= LARGE_PIECE else await asyncio.to_thread(work, *arguments)


async def _decoded(body: bytes, *, is_text: bool) -> Any:
    """None: it is nothing that can be read."""
    if is_text:
        return [body.decode(errors="replace")]
    return _json(body) if len(body) <= LARGE else await asyncio.to_thread(_json, body)


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _wording(answer: Any) -> Wording:
    return Wording(answer_spots(answer))


def _encoded(answer: Any) -> bytes:
    return msgspec.json.encode(answer)
