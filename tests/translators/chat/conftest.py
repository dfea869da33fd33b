"""Chat calls as they come in."""

import msgspec
import pytest

from gateway.contract import Call, JsonBody, Request
from gateway.dialects import CHAT

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="session")
def chat():
    """`chat(temperature=1)`: a call with a model and a message, unless they are given."""

    def make(**fields):
        fields = {"model": "m", "messages": HI} | fields
        body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
        request = Request(body=body)
        return Call(CHAT, CHAT.parse(request), request)

    return make
