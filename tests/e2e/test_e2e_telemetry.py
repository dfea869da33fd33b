"""A gateway as people run it, asked by OpenAI's SDK: what arrives at a receiver of OpenTelemetry, and at Prometheus."""

import asyncio
import json
import urllib.request

import pytest
from aiohttp import web
from openai import AsyncOpenAI, BadRequestError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

HELLO = [{"role": "user", "content": "the-words-of-the-prompt"}]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTLP_KEY = "secret-of-the-receiver"
CONFIG = """\
type: provider-account/demo
name: demo
integrations: [{name: echo}]
---
type: gateway-metadata-config
name: teams
rules: [{id: all, default_metadata: {region: eu}, required_keys: [team]}]
"""


KINDS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


class Receiver:
    """Understands what it is sent."""

    def __init__(self):
        self.messages = {signal: [] for signal in KINDS}
        self.keys = set()
        self.came = asyncio.Condition()

    async def take(self, request):
        signal = request.match_info["signal"]
        self.keys.add(request.headers.get("api-key"))
        self.messages[signal].append(KINDS[signal].FromString(await request.read()))
        async with self.came:
            self.came.notify_all()
        return web.Response()

    @property
    def spans(self):
        scopes = [s for message in self.messages["traces"] for r in message.resource_spans for s in r.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    @property
    def lines(self):
        scopes = [s for message in self.messages["logs"] for r in message.resource_logs for s in r.scope_logs]
        return [line for scope in scopes for line in scope.log_records]

    async def wait_for(self, condition):
        async with asyncio.timeout(30), self.came:
            await self.came.wait_for(condition)


@pytest.fixture
async def receiver():
    found = Receiver()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/{signal}", found.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


@pytest.fixture
async def process(gateway_process, receiver):
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={OTLP_KEY}"}
    return await asyncio.to_thread(gateway_process, config=CONFIG, environ=environ)


def attributes_of(span):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


async def test_what_is_told_of_requests(process, receiver, token):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-tfy-metadata": '{"team": "research"}'}
    async with AsyncOpenAI(base_url=process.url, api_key=token, max_retries=0) as client:
        answer = await client.chat.completions.create(model="demo/echo", messages=HELLO, extra_headers=headers)
        stream = await client.chat.completions.create(
            model="demo/echo", messages=HELLO, stream=True, extra_headers={**headers, "traceparent": ""}
        )
        chunks = [chunk async for chunk in stream]
        with pytest.raises(BadRequestError, match="needs metadata for 'team'"):
            await client.chat.completions.create(model="demo/echo", messages=HELLO)
    await receiver.wait_for(lambda: len(receiver.spans) >= 5 and len(receiver.lines) >= 3)

    assert answer.choices[0].message.content
    assert chunks[-1].choices
    first, asked, second, streamed, refused = receiver.spans
    assert [span.name for span in receiver.spans] == ["POST chat", "chat echo", "POST chat", "chat echo", "POST chat"]
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert (asked.trace_id, asked.parent_span_id) == (first.trace_id, first.span_id)
    assert (second.parent_span_id, streamed.parent_span_id) == (b"", second.span_id)
    assert attributes_of(first)["gateway.request_id"] == answer._request_id
    assert attributes_of(second)["tfy.request.metadata"] == '{"region":"eu","team":"research"}'
    assert attributes_of(asked)["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens
    assert attributes_of(streamed)["gen_ai.response.time_to_first_chunk"] >= 0
    assert attributes_of(refused)["http.response.status_code"] == 400
    assert [line.trace_id for line in receiver.lines] == [first.trace_id, second.trace_id, refused.trace_id]
    assert receiver.keys == {OTLP_KEY}

    with urllib.request.urlopen(process.url.removesuffix("/v1") + "/metrics", timeout=10) as reply:
        text = reply.read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    counts = {sample.labels["code"]: sample.value for sample in families["ai_gateway_requests"].samples}
    assert counts == {"200": 2.0, "400": 1.0}
    assert OTLP_KEY not in text + process.out + process.err
    sent = b"".join(each.SerializeToString() for messages in receiver.messages.values() for each in messages)
    assert b"the-words-of-the-prompt" not in sent  # nobody has asked for that
    process.assert_sound()

    # What waits a minute otherwise is sent at the end.
    process.process.terminate()
    assert await process.exit_code() == 0
    [message] = receiver.messages["metrics"]
    metrics = {metric.name for r in message.resource_metrics for s in r.scope_metrics for metric in s.metrics}
    assert {"ai_gateway_requests", "gen_ai.client.operation.duration", "gateway_build_info"} <= metrics


CONTENT = """\
---
type: gateway-global-settings
name: global
logging_settings: {type: header_controlled, log_body_by_default: false}
---
type: gateway-logging-config
name: numbers
log: true
redact_with: {custom_patterns: [{pattern: "EMP-[0-9]+", redaction_text: "[EMP]"}]}
---
type: gateway-otel-config
otel_traces_exporter_config: {type: http, endpoint: "@/v1/traces", encoding: proto, exclude_request_data: false}
"""


async def test_what_was_asked_and_answered_where_that_is_wanted(gateway_process, receiver, token):
    """By the manifest, and by the caller's own word; streams are put together, and what rules hide is hidden."""
    config = "type: provider-account/demo\nname: demo\nintegrations: [{name: echo}]\n" + CONTENT.replace(
        "@", receiver.url
    )
    process = await asyncio.to_thread(gateway_process, config=config)
    words = [{"role": "user", "content": "EMP-17 speaks"}]
    ids = []
    async with AsyncOpenAI(base_url=process.url, api_key=token, max_retries=0) as client:
        for enabled in ("true", "false"):
            headers = {"x-tfy-logging-config": f'{{"enabled": {enabled}}}'}
            stream = await client.chat.completions.create(
                model="demo/echo", messages=words, stream=True, extra_headers=headers
            )
            ids.append(stream.response.headers["x-request-id"])
            answer = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    await receiver.wait_for(lambda: len(receiver.spans) >= 4)

    asked, quiet = (
        attributes_of(next(span for span in receiver.spans if span.trace_id.hex() == id_ and span.parent_span_id))
        for id_ in ids
    )
    assert json.loads(asked["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "[EMP] speaks"}]}
    ]
    [message] = json.loads(asked["gen_ai.output.messages"])
    assert message["finish_reason"] == "stop"
    assert message["parts"] == [{"type": "text", "content": answer.replace("EMP-17", "[EMP]")}]
    assert "gen_ai.input.messages" not in quiet
    process.assert_sound()
