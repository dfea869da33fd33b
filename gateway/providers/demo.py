"""A model that needs no key and no network: it says what it was told. For first steps and for tests."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gateway.contract import Endpoint, Target, UpstreamRequest
from gateway.manifests.accounts import Model, ModelName, ModelType, ProviderAccount
from gateway.providers.catalog import PATHS, Vendor
from gateway.providers.openai_compatible import OpenAICompatible, Settings

LONG = 50_000
"""Characters, or words, up to which a text is looked at closely."""

_encode = msgspec.json.Encoder().encode


class DemoModel(Model, frozen=True, kw_only=True):
    """Give it a `cost`, and budgets can be tried without paying."""

    type: str = "integration/model/demo"
    name: ModelName = "echo"
    model_types: tuple[ModelType, ...] = ("chat", "completion")


class DemoAccount(ProviderAccount, frozen=True, kw_only=True):
    """
    Args:
        delay_s: seconds between two words of a stream.
    """

    integrations: tuple[DemoModel, ...] = (DemoModel(),)
    delay_s: float = 0.03


class Demo(OpenAICompatible):
    accounts: Mapping[str, Any] = {"provider-account/demo": DemoAccount}

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, DemoAccount)
        endpoints = {dialect: Endpoint(f"http://demo{path}") for dialect, path in PATHS.items()}
        for model in account.integrations:
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.name,
                model_types=frozenset({"chat", "completion", "embedding"}),
                provider=self,
                settings=Settings(endpoints, Vendor()),
                upstream=EchoUpstream(account.delay_s),
            )


class Request(msgspec.Struct):
    model: str
    messages: list[dict[str, Any]] = []
    prompt: Any = ""
    input: Any = ""
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None


class EchoUpstream:
    """An `Upstream` that answers by itself."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    async def call(self, request: UpstreamRequest) -> "EchoReply":
        assert isinstance(request.body, bytes)
        try:
            asked = msgspec.json.decode(request.body, type=Request)
        except msgspec.ValidationError as error:
            return refused(str(error))
        if request.endpoint.url.endswith("/chat/completions") and not asked.messages:
            return refused("messages must not be empty")
        if request.endpoint.url.endswith("/embeddings"):
            return EchoReply(200, "application/json", iter([embeddings(asked)]), 0)
        chunks = streamed(asked) if asked.stream else iter([whole(asked)])
        content_type = "text/event-stream; charset=utf-8" if asked.stream else "application/json"
        return EchoReply(200, content_type, chunks, self._delay_s if asked.stream else 0)


class EchoReply:
    def __init__(self, status: int, content_type: str, chunks: Iterator[bytes], delay_s: float) -> None:
        self.status = status
        self.headers = {"content-type": content_type}
        self._chunks = chunks
        self._delay_s = delay_s

    async def read(self) -> bytes:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        return next(self._chunks, b"")

    def close(self) -> None:
        self._chunks = iter(())


def refused(message: str) -> EchoReply:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return EchoReply(400, "application/json", iter([_encode({"error": error})]), 0)


def text_of(asked: Request) -> str:
    if not asked.messages:
        return str(asked.prompt)
    content = asked.messages[-1].get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def words_in(text: str) -> int:
    """Of a long text about so many: to take 20 MB apart would hold up all others."""
    return len(text.split()) if len(text) < LONG else text.count(" ") + 1


def usage(asked: Request) -> dict[str, int]:
    into = sum(words_in(str(message.get("content", ""))) for message in asked.messages) or words_in(text_of(asked))
    out = words_in(text_of(asked))
    return {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}


def whole(asked: Request) -> bytes:
    head = {"id": "demo", "created": int(time.time()), "model": asked.model}
    if asked.messages:
        message = {"role": "assistant", "content": text_of(asked)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return _encode({**head, "object": "chat.completion", "choices": [choice], "usage": usage(asked)})
    choice = {"index": 0, "text": text_of(asked), "finish_reason": "stop", "logprobs": None}
    return _encode({**head, "object": "text_completion", "choices": [choice], "usage": usage(asked)})


def streamed(asked: Request) -> Iterator[bytes]:
    is_chat = bool(asked.messages)
    head = {"id": "demo", "created": int(time.time()), "model": asked.model}
    head["object"] = "chat.completion.chunk" if is_chat else "text_completion"

    def event(text: str | None, finish: str | None = None) -> bytes:
        said = {"delta": {} if text is None else {"content": text}} if is_chat else {"text": text or ""}
        return b"data: %b\n\n" % _encode({**head, "choices": [{"index": 0, **said, "finish_reason": finish}]})

    if is_chat:
        first = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        yield b"data: %b\n\n" % _encode({**head, "choices": [first]})
    for number, word in enumerate(text_of(asked).split(" ", LONG)):
        yield event(word if number == 0 else f" {word}")
    yield event(None, "stop")
    if asked.stream_options and asked.stream_options.get("include_usage"):
        yield b"data: %b\n\n" % _encode({**head, "choices": [], "usage": usage(asked)})
    yield b"data: [DONE]\n\n"


def embeddings(asked: Request) -> bytes:
    """Not a meaning, but the same vector for the same text: how often each of 16 groups of characters occurs."""
    texts = asked.input if isinstance(asked.input, list) else [asked.input]
    data = []
    for index, text in enumerate(texts):
        counts = [0] * 16
        for byte in str(text)[: LONG // len(texts) + 1].encode():
            counts[byte % 16] += 1
        norm = sum(n * n for n in counts) ** 0.5 or 1.0
        data.append({"object": "embedding", "index": index, "embedding": [n / norm for n in counts]})
    tokens = sum(words_in(str(text)) for text in texts)
    return _encode(
        {
            "object": "list",
            "model": asked.model,
            "data": data,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )
