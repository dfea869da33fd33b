"""The API of files and batches that the gateway keeps itself. To those who call it, it is a provider's.

Source: platform.openai.com/docs/api-reference (files, batch), read 2026-11.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from secrets import token_hex
from typing import Any

import msgspec

from gateway.batches.files import LocalFile, LocalFiles
from gateway.batches.work import ON_INTERRUPTION, REPEAT, REPORT
from gateway.contract import Call, Endpoint, FormBody, Head, JsonBody, Reading, Reply, Target, UpstreamRequest
from gateway.contract.batches import Batch, Run, Runs
from gateway.errors import BadRequest, BrokeOff, NotFound, Refused

WINDOW, WINDOW_S = "24h", 24 * 3600
MAX_INPUT_BYTES = 200 * 1024 * 1024
"""Source: "Batch API" in OpenAI's guides, read 2026-11."""
MAX_FILENAME_CHARS = 500
MAX_METADATA = 16
MAX_KEY_CHARS, MAX_VALUE_CHARS = 64, 512
_HERE = Endpoint("http://gateway")


class LocalRequest(UpstreamRequest, frozen=True, kw_only=True):
    """What the gateway asks itself."""

    call: Call
    account: str


class BatchFields(msgspec.Struct):
    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None


class LocalAccounts:
    """A `Provider` for accounts that have no batches of their own, and the `Upstream` of its targets.

    Args:
        endpoints: that a batch may be for, as in `/v1/chat/completions`.
        wake: called when there is a new batch.
        cancelled: called when one is cancelled.
    """

    accounts: Mapping[str, Any] = {}

    def __init__(
        self,
        files: LocalFiles,
        runs: Runs,
        *,
        endpoints: Collection[str],
        wake: Callable[[], None],
        cancelled: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.files = files
        self.runs = runs
        self._endpoints = tuple(endpoints)
        self._wake = wake
        self._cancelled = cancelled
        self._clock = clock

    def standing_in(self, target: Target) -> Target:
        """For the account of this target."""
        return msgspec.structs.replace(
            target, provider=self, upstream=self, settings=None, signer=None, concurrency=None
        )

    # The provider.

    def targets(self, account: Any) -> Iterable[Target]:
        return ()

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        return LocalRequest(_HERE, b"", call=call, account=target.account)

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        return None

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        return Refused("the gateway refused its own request", status=head.status)

    def serves(self, api: str, target: Target) -> bool:
        return api in ("files", "batches")

    # The upstream.

    async def call(self, request: UpstreamRequest) -> Reply:
        """Raises BadRequest, NotFound, Unavailable."""
        assert isinstance(request, LocalRequest)
        asked = request.call.request
        id_ = asked.path_params.get("id", "")
        match asked.method, asked.route:
            case "POST", "/files":
                assert isinstance(asked.body, FormBody)
                return _told(await self._upload(asked.body))
            case "GET" | "HEAD", "/files/{id}":
                return _told(await self._file(id_))
            case "DELETE", "/files/{id}":
                file = await self._file(id_)
                await asyncio.to_thread(self.files.delete, file.id)
                return _told({"id": file.id, "object": "file", "deleted": True})
            case "GET" | "HEAD", "/files/{id}/content":
                file = await self._file(id_)
                headers = {"content-type": "application/octet-stream", "content-length": str(file.bytes)}
                return LocalReply(headers, self.files.pieces(file.id))
            case "POST", "/batches":
                assert isinstance(asked.body, JsonBody)
                about = request.call.ask.object
                owner = about.owner if about is not None else ""
                return _told(await self._create(asked.body, request.account, owner))
            case "GET" | "HEAD", "/batches/{id}":
                return _told(await self._batch(id_))
            case "POST", "/batches/{id}/cancel":
                await self.runs.cancel(id_, int(self._clock()))
                self._cancelled(id_)
                return _told(await self._batch(id_))
        raise NotFound(f"the gateway itself has nothing at {asked.method} {asked.route}")

    async def _upload(self, form: FormBody) -> LocalFile:
        parts = [part for part in form.parts if part.name == "file"]
        if len(parts) != 1 or parts[0].filename is None:
            raise BadRequest('there has to be one part "file" in the form, with the name of a file', param="file")
        purpose = form.text("purpose")
        if purpose != "batch":
            raise BadRequest(
                "the provider of this account has no files, and the gateway keeps some for batches alone: the purpose "
                "has to be batch",
                param="purpose",
            )
        if len(parts[0].data) > MAX_INPUT_BYTES:
            raise BadRequest(f"the input of a batch may have {MAX_INPUT_BYTES:,} bytes", param="file")
        name = parts[0].filename[:MAX_FILENAME_CHARS]
        return await self.files.create(parts[0].data, filename=name, purpose=purpose, now_s=int(self._clock()))

    async def _file(self, id_: str) -> LocalFile:
        file = await asyncio.to_thread(self.files.get, id_)
        if file is None:
            raise NotFound(f"the file {id_[:100]!r} is not there any more")
        return file

    async def _create(self, body: JsonBody, account: str, owner: str) -> Batch:
        try:
            fields = msgspec.json.decode(msgspec.json.encode(body.fields), type=BatchFields)
        except (msgspec.DecodeError, ValueError) as error:
            raise BadRequest(f"the batch is not valid: {error}") from error
        if fields.endpoint not in self._endpoints:
            raise BadRequest(f"the endpoint of a batch is one of {', '.join(self._endpoints)}", param="endpoint")
        if fields.completion_window != WINDOW:
            raise BadRequest(f"the completion window has to be {WINDOW}", param="completion_window")
        if len(fields.metadata or ()) > MAX_METADATA:
            raise BadRequest(f"metadata has at most {MAX_METADATA} pairs", param="metadata")
        if any(
            len(key) > MAX_KEY_CHARS or len(value) > MAX_VALUE_CHARS for key, value in (fields.metadata or {}).items()
        ):
            raise BadRequest(
                f"a key of metadata has at most {MAX_KEY_CHARS} characters, and a value {MAX_VALUE_CHARS}",
                param="metadata",
            )
        if (fields.metadata or {}).get(ON_INTERRUPTION, REPORT) not in (REPORT, REPEAT):
            raise BadRequest(f"{ON_INTERRUPTION} in metadata is {REPORT} or {REPEAT}", param="metadata")
        await self._file(fields.input_file_id)
        now = int(self._clock())
        batch = Batch(
            id=f"batch_gw{token_hex(16)}",
            endpoint=fields.endpoint,
            input_file_id=fields.input_file_id,
            created_at=now,
            expires_at=now + WINDOW_S,
            metadata=fields.metadata,
        )
        await self.runs.add(Run(batch, account, owner))
        self._wake()
        return batch

    async def _batch(self, id_: str) -> Batch:
        batch = await self.runs.get(id_)
        if batch is None:
            raise NotFound(f"the batch {id_[:100]!r} is not there any more")
        return batch


class LocalReply:
    """A `Reply`."""

    status = 200

    def __init__(self, headers: Mapping[str, str], pieces: AsyncIterator[bytes]) -> None:
        self.headers = headers
        self._pieces = pieces

    async def read(self) -> bytes:
        try:
            return await anext(self._pieces, b"")
        except OSError as error:
            raise BrokeOff("the file was deleted while it was read, or the disk fails") from error

    def close(self) -> None:
        """Nothing is open."""


def _told(value: object) -> LocalReply:
    async def pieces() -> AsyncIterator[bytes]:
        yield msgspec.json.encode(value)

    return LocalReply({"content-type": "application/json"}, pieces())
