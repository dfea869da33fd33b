"""Names and values, as OTLP has them.

Source: https://opentelemetry.io/docs/specs/otlp/ and opentelemetry-proto 1.45.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from gateway._version import __version__

SCOPE = InstrumentationScope(name="gateway", version=__version__)


@lru_cache(maxsize=4096)
def text(name: str, value: str) -> KeyValue:
    """Remembered, as most values come again and again, and to make one takes a while. Not to be changed."""
    return KeyValue(key=name, value=AnyValue(string_value=value))


def tell(span: Any, name: str, value: str | float) -> None:
    """Adds an attribute to something that has some."""
    held = span.attributes.add(key=name).value
    if isinstance(value, str):
        held.string_value = value
    elif isinstance(value, bool):
        held.bool_value = value
    elif isinstance(value, int):
        held.int_value = value
    else:
        held.double_value = value


def texts(values: Mapping[str, str]) -> list[KeyValue]:
    return [text(name, value) for name, value in values.items()]


def listed(name: str, values: Iterable[str]) -> KeyValue:
    found = AnyValue(string_value="")
    found.array_value.values.extend(AnyValue(string_value=value) for value in values)
    return KeyValue(key=name, value=found)


def resource_of(attributes: Mapping[str, str]) -> Resource:
    return Resource(attributes=texts(attributes))
