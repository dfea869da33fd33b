"""OTLP over gRPC, to a real server."""

from concurrent import futures

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.secrecy.secret import Secret
from gateway.state.telemetry.settings import Destination
from gateway.state.telemetry.spans import Spans
from gateway.state.telemetry.transports import GrpcTransport, Unsent, grpc_target

grpc = pytest.importorskip("grpc", reason="needs grpcio, of the extra otel-grpc")


class Collector(grpc.GenericRpcHandler):
    def __init__(self):
        self.taken = []
        self.refuses_with = None

    def service(self, details):
        def export(data, context):
            metadata = {each.key: each.value for each in context.invocation_metadata()}
            self.taken.append((details.method, metadata, data))
            if self.refuses_with is not None:
                context.abort(self.refuses_with, "no")
            return b""

        return grpc.unary_unary_rpc_method_handler(export)


@pytest.fixture
def collector():
    """It is told where it is as `port`."""
    found = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[found])
    found.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield found
    server.stop(None).wait()


def message_of(encoding, record):
    message = encoding.message()
    encoding.add([record], message)
    return message


async def test_a_trace_arrives(collector, described, record):
    endpoint = f"http://127.0.0.1:{collector.port}"
    transport = GrpcTransport(Destination(endpoint, "grpc", {"Api-Key": Secret("k")}, is_gzip=True), "traces")

    await transport.send(message_of(Spans(described, {}), record()))
    await transport.close()

    [(method, metadata, data)] = collector.taken
    assert method == "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    assert metadata["api-key"] == "k"
    [resource] = ExportTraceServiceRequest.FromString(data).resource_spans
    assert [span.name for span in resource.scope_spans[0].spans] == ["POST chat", "chat gpt-4o"]


@pytest.mark.parametrize(
    ("code", "reason", "may_retry"),
    [("UNAVAILABLE", "grpc_unavailable", True), ("UNAUTHENTICATED", "grpc_unauthenticated", False)],
)
async def test_what_is_refused(collector, described, record, code, reason, may_retry):
    collector.refuses_with = grpc.StatusCode[code]
    transport = GrpcTransport(Destination(f"http://127.0.0.1:{collector.port}", "grpc"), "traces")

    with pytest.raises(Unsent) as unsent:
        await transport.send(message_of(Spans(described, {}), record()))
    await transport.close()

    assert (unsent.value.reason, unsent.value.may_retry) == (reason, may_retry)


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("otel.example.com:4317", ("otel.example.com:4317", True)),
        ("https://otel.example.com", ("otel.example.com:4317", True)),
        ("http://[::1]:4000/", ("[::1]:4000", False)),
    ],
)
def test_it_is_encrypted_unless_it_says_otherwise(endpoint, target):
    assert grpc_target(endpoint) == target
