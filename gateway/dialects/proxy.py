"""Any HTTP API, passed on to the byte: what is asked, and what is answered, is nobody's business here.

Source: section 1.3 of the project's compatibility notes.
"""

from collections.abc import Collection, Sequence

from gateway.contract import Ask, Call, Head, Reading, Request, StreamBody
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.forms import MAX_FORM_BYTES
from gateway.errors import MethodNotAllowed
from gateway.wire.forwarding import ForProviders
from gateway.wire.plain import PlainReading

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CUSTOM_ENDPOINT = "custom-endpoint"
ROUTE = "/proxy-api/{account}/{endpoint}"


class Proxy(OpenAIErrors):
    """A `Dialect`. An endpoint is asked for as if it were a model: `account/endpoint`."""

    name = "proxy-api"
    routes: Sequence[tuple[str, str]] = [(method, ROUTE + rest) for rest in ("", "/{rest:path}") for method in METHODS]
    model_type = CUSTOM_ENDPOINT
    accepts: type[Body] | None = StreamBody
    max_body_bytes: int | None = MAX_FORM_BYTES
    headers: Collection[str] = ForProviders()

    def parse(self, request: Request) -> Ask:
        if request.method not in METHODS:  # the answer to HEAD has a length and no body, of which the way knows nothing
            raise MethodNotAllowed(METHODS)
        places = request.path_params
        return Ask(f"{places['account']}/{places['endpoint']}", has_output=False, expected=(Usage(),))

    def reading(self, call: Call, head: Head) -> Reading:
        return PlainReading()


PROXY = Proxy()
