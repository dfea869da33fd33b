"""Looks at what the lines of a batch name before its provider gets it: that has one key for all callers.

What stands in the file is read from the provider, by whatever way it came there: in one piece, in the parts of an
upload, or from another replica.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn

import msgspec

from gateway.batches.calls import content_of
from gateway.batches.lines import MAX_LINE_BYTES, Splitter
from gateway.contract import Call, Caller, Reply, Target
from gateway.contract.objects import ObjectKind, Objects
from gateway.errors import BadRequest, Forbidden, TimedOut
from gateway.middleware.account import standing_for
from gateway.middleware.file_references import refuse_others_files
from gateway.proxy.exchange import Exchange
from gateway.wire.disguised import disguised
from gateway.wire.file_references import files_in, may_refer
from gateway.wire.repeats import repeats

MAX_LINES = 100_000
MAX_INPUT_BYTES = 512 * 1024 * 1024
READ_S = 300.0
MAX_NAMED = 1000
"""Files and responses that the lines of one batch refer to; each is looked up."""
PARAM = "input_file_id"
WITHOUT_MODEL = frozenset({"/v1/moderations"})
"""Endpoints that have a model of their own."""

Allows = Callable[[Caller | None, str, str], bool]
Open = Callable[[Call, Target], AbstractAsyncContextManager[Reply]]

_body = msgspec.json.Decoder(dict[str, msgspec.Raw])
_model = msgspec.json.Decoder(str)
_text = msgspec.json.Decoder(str | None)


class _Line(msgspec.Struct):
    body: msgspec.Raw
    url: str | None = None


_line = msgspec.json.Decoder(_Line)


class InputCheck:
    """
    Args:
        open_: opens an answer that is read as it comes.
        allows: whether a caller may use what the provider of an account calls so.
    """

    def __init__(self, *, objects: Objects, open_: Open, allows: Allows) -> None:
        self.objects = objects
        self._open = open_
        self._allows = allows

    async def __call__(self, exchange: Exchange) -> None:
        """Of a request that makes a batch at its provider.

        Raises:
            BadRequest: its lines cannot be read, or say what only a request that is looked at may say.
            Forbidden: they name a model that the caller may not use.
            NotFound: they name somebody else's file.
            UpstreamError: the provider does not give the file.
        """
        call, choice, caller = exchange.call, exchange.choice, exchange.caller
        assert call is not None
        assert call.ask.object is not None
        assert choice is not None
        id_ = call.ask.object.files.get(PARAM)
        if id_ is None:
            raise BadRequest("a batch needs a file that was uploaded through this gateway: its lines", param=PARAM)
        file = await self.objects.find(ObjectKind.FILE, id_, caller)
        if file.is_kept_here:
            return  # each line is a request of the caller's
        lines = Lines(lambda model: self._allows(caller, file.account, model), account=file.account)
        try:
            async with (
                asyncio.timeout(READ_S),
                self._open(content_of(file), standing_for(choice.target, "files")) as reply,
            ):
                await _read(reply, lines)
        except TimeoutError as error:
            raise TimedOut("the provider did not give the lines of the batch in time") from error
        await refuse_others_files(self.objects, [*lines.files], caller)
        for response in lines.responses:
            found = await self.objects.find(ObjectKind.RESPONSE, response, caller)
            if (found.account, found.provider_id) != (file.account, response):
                raise BadRequest(f"the response {response[:80]!r} is not at {file.account}", param=PARAM)


async def _read(reply: Reply, lines: "Lines") -> None:
    splitter, size = Splitter(), 0
    while data := await reply.read():
        size += len(data)
        if size > MAX_INPUT_BYTES:
            raise BadRequest(f"the input of a batch may have {MAX_INPUT_BYTES:,} bytes", param=PARAM)
        if found := splitter.feed(data):
            await asyncio.to_thread(lines.look, found)
    await asyncio.to_thread(lines.look, splitter.end())


class Lines:
    """What they name. No I/O.

    Args:
        allows: whether the caller may use what the provider calls so.
    """

    def __init__(self, allows: Callable[[str], bool], *, account: str) -> None:
        self.files: dict[str, None] = {}
        self.responses: dict[str, None] = {}
        self._allows = allows
        self._account = account
        self._models: set[str] = set()
        """Which he may use."""
        self._number = 0

    def look(self, lines: Sequence[bytes]) -> None:
        """Raises BadRequest, Forbidden."""
        for data in lines:
            self._number += 1
            if self._number > MAX_LINES:
                self._refuse(f"there are more than {MAX_LINES:,}")
            if len(data) > MAX_LINE_BYTES:
                self._refuse(f"it has over {MAX_LINE_BYTES:,} bytes")
            try:
                line = _line.decode(data)
                fields = _body.decode(line.body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                self._refuse(f"this is no request as JSON: {str(error)[:200]}")
            if _may_repeat(data) and repeats(data):
                self._refuse("it has two fields of one name")
            self._look_at(line, fields, data)

    def _look_at(self, line: _Line, fields: dict[str, msgspec.Raw], data: bytes) -> None:
        if (name := disguised(fields)) is not None:
            self._refuse(f'the field "{name}" is written in lower case')
        if "model" in fields or line.url not in WITHOUT_MODEL:
            self._check_model(fields.get("model", msgspec.Raw(b"null")))
        if may_refer(data):
            try:
                self.files.update(dict.fromkeys(files_in(data)))
            except BadRequest as error:
                self._refuse(error.message)
        if bytes(fields.get("conversation", b"null")) != b"null":
            self._refuse("conversations are not served")
        if response := self._response(fields):
            self.responses[response] = None
        if len(self.files) + len(self.responses) > MAX_NAMED:
            self._refuse(f"up to here, more than {MAX_NAMED:,} files and responses are named")

    def _check_model(self, raw: msgspec.Raw) -> None:
        try:
            model = _model.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._refuse("it names no model")
        if model in self._models:
            return
        if not self._allows(model):
            raise Forbidden(
                f"line {self._number} of the input file: {self._account} has no model that its provider calls "
                f"{model[:200]!r} and that you may use; lines name models as the provider does",
                code="model_not_allowed",
                param=PARAM,
            )
        self._models.add(model)

    def _response(self, fields: dict[str, Any]) -> str | None:
        try:
            response: str | None = _text.decode(fields.get("previous_response_id", b"null"))
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._refuse("previous_response_id is no text")
        return response

    def _refuse(self, why: str) -> NoReturn:
        raise BadRequest(f"line {self._number} of the input file: {why}", code="invalid_batch_input", param=PARAM)


def _may_repeat(data: bytes) -> bool:
    """Of two fields of one name, a provider might believe the one that nobody looked at. Hardly any line can have two:
    a letter of theirs may also be written by its number."""
    return b"\\u00" in data or any(data.count(name) > 1 for name in (b'"model"', b'"body"', b'"previous_response_id"'))
