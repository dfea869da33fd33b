"""Two translators as one."""

import msgspec

from gateway.contract import Call, JsonBody, Request
from gateway.dialects import CHAT
from gateway.translators.joined import Joined


class Dropping:
    """A translator that can say all but some fields."""

    def __init__(self, *names):
        self.dialect, self.format, self._names = "a", "b", names

    def request(self, call, model):
        kept = {name: value for name, value in call.fields.items() if name not in self._names}
        return JsonBody(kept, dropped_params=self._names)

    def reading(self, call, head):
        raise NotImplementedError


def test_what_either_of_them_leaves_out_is_told():
    fields = {"model": "m", "seed": 1, "user": "u", "n": 1}
    request = Request(body=JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}))
    call = Call(CHAT, CHAT.parse(request), request)

    body = Joined(Dropping("seed"), Dropping("user")).request(call, "m")

    assert body.dropped_params == ("seed", "user")
    assert [*body.fields] == ["model", "n"]
