"""Which path leads where."""

import time
from urllib.parse import unquote

import msgspec
import pytest

from gateway.dialects import CHAT, COMPLETIONS, EMBEDDINGS, KEPT_COMPLETIONS, RERANK
from gateway.endpoints.router import BASES, Paths, Router, UrlPath
from gateway.errors import MethodNotAllowed, NotFound
from gateway.proxy.exchange import Exchange
from gateway.testing import Answer, get, http_scope, post, request


def saying(name):
    async def app(scope, receive, send):
        dialect = Exchange.of(scope).dialect
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{name} {dialect and dialect.name}".encode()})

    return app


ROUTER = Router(
    [CHAT, COMPLETIONS, EMBEDDINGS],
    inference=saying("inference"),
    websockets=saying("websockets"),
    other=saying("other"),
)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("dialect", [CHAT, COMPLETIONS, EMBEDDINGS], ids=lambda dialect: dialect.name)
async def test_each_api_is_below_each_base(base, dialect):
    assert (await post(ROUTER, base + dialect.routes[0][1])).body == f"inference {dialect.name}".encode()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/models",
        "/v2/chat/completions",
        "/chat/completions/",
        "//chat/completions",
        "/v1//chat/completions",
        "/v1/../chat/completions",
        "/v1/chat/completions;x",
        "/v1/chat/completions.",
        "/v1/Chat/Completions",
        "/v1/chat%2fcompletions",
        "/v1/chat/completions\0",
        " /v1/chat/completions",
        "v1/chat/completions",
    ],
)
async def test_all_else_is_the_others(path):
    """One normal form: what looks like a route to something in front must not be one here, or the other way round."""
    assert (await post(ROUTER, path)).body == b"other None"


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "post"])
async def test_other_methods_are_refused(method, call):
    with pytest.raises(MethodNotAllowed) as raised:
        await call(ROUTER, method=method, path="/v1/chat/completions")

    assert raised.value.allowed == ("POST",)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/realtime", "/"])
async def test_websockets_have_paths_of_their_own(call, path):
    """One on a path for requests would wait there for a body."""
    sent = await call(ROUTER, type="websocket", path=path)

    assert sent[1]["body"] == b"websockets None"


async def test_below_a_mount(call):
    sent = await call(ROUTER, path="/api/llm/v1/embeddings", root_path="/api/llm")

    assert sent[1]["body"] == b"inference embeddings"


async def test_queries_do_not_matter(call):
    """Beta routes carry ?beta=true."""
    sent = await call(ROUTER, path="/v1/chat/completions", query_string=b"beta=true")

    assert sent[1]["body"] == b"inference chat"


async def test_errors_of_a_path_are_worded_in_its_dialect():
    scope = http_scope("GET", "/v1/embeddings", {}, 0)

    with pytest.raises(MethodNotAllowed):
        await ROUTER(scope, None, None)

    assert Exchange.of(scope).dialect is EMBEDDINGS
    assert (await get(ROUTER, "/x")).body == b"other None"


@pytest.mark.parametrize("mount", ["", "/api/llm"])
@pytest.mark.parametrize(
    ("name", "deployment"),
    [("m", "m"), ("acct/m", "acct/m"), ("acct%2Fm", "acct/m"), ("a/b/c:1", "a/b/c:1"), ("batches", "batches")],
)
async def test_azures_clients_put_the_model_into_the_path(mount, name, deployment):
    """With an endpoint for a base URL they ask below /openai/deployments: that was a 404. Some encode the slash in the
    name of a model, and some do not."""
    asked = Router([CHAT], inference=showing("chat"), websockets=PATHS, other=PATHS)

    answer = await request(asked, "POST", f"{mount}/openai/deployments/{name}/chat/completions")

    assert answer.json() == ["chat", {"deployment": deployment}]


@pytest.mark.parametrize("path", ["/openai/deployments", "/openai/deployments/m", "/openai/deployments/m/rerank"])
async def test_other_paths_of_deployments_lead_nowhere(path):
    asked = Router([CHAT, RERANK], inference=showing("any"), websockets=PATHS, other=PATHS)

    with pytest.raises(NotFound):
        await post(asked, path)


async def test_nothing_is_listed_below_a_deployment():
    """GET was answered with all chat completions that were kept, whatever their model."""
    asked = Router([CHAT, KEPT_COMPLETIONS], inference=showing("any"), websockets=PATHS, other=PATHS)

    with pytest.raises(MethodNotAllowed) as raised:
        await get(asked, "/openai/deployments/m/chat/completions")

    assert raised.value.allowed == ("POST",)


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/api/chat", "Ollama's own API is not served"),
        ("/api/tags", "Ollama's own API is not served"),
        ("/v2/chat", "Cohere's own API is not served"),
        ("/v1/engines/m/completions", "that old API is not served"),
        ("/v1/chat/completions/chat/completions", "leave it out of the base URL"),
    ],
)
async def test_clients_of_other_apis_are_told_what_to_do(path, advice):
    """They knock at the doors of another server: a bare 404 has people look for the fault in a key, or in a model."""
    with pytest.raises(NotFound, match=advice):
        await post(PATHS, path)


# --- by pattern --------------------------------------------------------------


def showing(name):
    async def app(scope, receive, send):
        body = msgspec.json.encode([name, scope["path_params"]])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


PATHS = Paths(
    [
        UrlPath(["GET"], "/models", showing("list")),
        UrlPath(["GET"], "/models/{id:path}", showing("one")),
        UrlPath(["GET"], "/api/teams/{name}", showing("read")),
        UrlPath(["PUT"], "/api/teams/{name}", showing("write")),
        UrlPath(["DELETE"], "/api/teams/{name}/members/{email}", showing("leave")),
    ]
)
BEHIND = Router([CHAT], inference=saying("inference"), websockets=PATHS, other=PATHS)


@pytest.mark.parametrize("method", ["POST", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "BREW", "get", ""])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/models", ("GET", "HEAD")),
        ("/models/a/b", ("GET", "HEAD")),
        ("/api/teams/x", ("GET", "HEAD", "PUT")),
        ("/api/teams/x/members/y", ("DELETE",)),
    ],
)
async def test_methods_a_path_has_not(method, path, allowed):
    """A route without methods answered all of them: DELETE on a model was a 200 with the model."""
    with pytest.raises(MethodNotAllowed) as raised:
        await request(PATHS, method, path)

    assert raised.value.allowed == allowed


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a/x", ["first", {"any": "a"}]),
        ("/a/y", ["second", {"any": "y"}]),
        ("/b/y", ["third", {"any": "b"}]),
        ("/b/z", ["fourth", {}]),
    ],
)
async def test_the_first_that_fits_counts_wherever_its_places_are(path, found):
    """Paths are sought below their first segment, and those that begin with a place are below each."""
    paths = Paths(
        [
            UrlPath(["GET"], "/{any}/x", showing("first")),
            UrlPath(["GET"], "/a/{any}", showing("second")),
            UrlPath(["GET"], "/{any}/y", showing("third")),
            UrlPath(["GET"], "/b/z", showing("fourth")),
        ]
    )

    assert (await request(paths, "GET", path)).json() == found


def test_a_path_without_methods_cannot_be_made():
    with pytest.raises(ValueError, match="/x has no methods"):
        UrlPath([], "/x", showing("x"))


async def test_a_handshake_is_a_get(call):
    """A WebSocket has no method."""
    sent = await call(PATHS, type="websocket", path="/api/teams/x")

    assert sent[1]["body"] == b'["read",{"name":"x"}]'


async def test_head_is_answered_where_get_is():
    answers = [await request(PATHS, method, "/api/teams/x") for method in ("GET", "HEAD", "PUT")]

    assert [answer.json() for answer in answers] == [
        ["read", {"name": "x"}],
        ["read", {"name": "x"}],
        ["write", {"name": "x"}],
    ]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/models/openai/gpt-4o", ["one", {"id": "openai/gpt-4o"}]),
        ("/models/openai%2Fgpt-4o", ["one", {"id": "openai/gpt-4o"}]),
        ("/models/openai%2fgpt%2D4o", ["one", {"id": "openai/gpt-4o"}]),
        ("/models/a%5Cb", ["one", {"id": "a\\b"}]),
        ("/models/a%252Fb", ["one", {"id": "a%2Fb"}]),
        ("/models/%C3%A9", ["one", {"id": "\xe9"}]),
        ("/models/..%2f..%2fapi%2fteams%2fx", ["one", {"id": "../../api/teams/x"}]),
        ("/api/teams/a%20b", ["read", {"name": "a b"}]),
        ("/api/teams/a%252fb", ["read", {"name": "a%2fb"}]),
        ("/api/teams/%C0%AF", ["read", {"name": "\ufffd\ufffd"}]),
    ],
)
async def test_what_is_encoded_in_a_name(path, found):
    """It is split first, and decoded then, once. Names of models hold slashes."""
    assert (await request(BEHIND, "GET", path)).json() == found


ENCODED = [
    "/api%2fteams/x",
    "/api%2Fteams%2Fx",
    "/api%5cteams/x",
    "/api\\teams/x",
    "/api/%74eams/x",
    "/%61pi/teams/x",
    "/api/teams/a%2fb",
    "/api/teams/a%5Cb",
    "/api/teams/a\\b",
    "/api%252fteams/x",
    "/api/%2e/teams/x",
    "/api/x/%2e%2e/teams/x",
    "/api/x/../teams/x",
    "/api//teams/x",
    "/api/teams/x%2f",
    "/api/teams%00/x",
    "/api%c0%afteams/x",
    "/api%e2%88%95teams/x",
    "/models%2fx",
    "/models%3fx",
    "/v1%2fmodels",
    "/v1/chat%2fcompletions",
    "/v1/chat/%63ompletions",
    "/chat%2Fcompletions",
]


@pytest.mark.parametrize("path", ENCODED)
@pytest.mark.parametrize("root", ["", "/llm", "/models"])
async def test_what_is_encoded_around_names_leads_nowhere(call, path, root):
    """`/api%2fteams` reached the API past a proxy whose rule is about `/api/`."""
    raw = root + path

    for method in ("GET", "POST"):
        with pytest.raises(NotFound):
            await call(BEHIND, method=method, path=unquote(raw), raw_path=raw.encode(), root_path=root)


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ({"path": "/llm/models/a/b", "root_path": "/llm", "raw_path": b"/llm/models/a%2Fb"}, 200),
        ({"path": "/models/a/b", "root_path": "/llm", "raw_path": b"/llm/models/a%2Fb"}, 200),
        ({"path": "/models/a/b", "root_path": "", "raw_path": b"/llm/models/a%2Fb"}, 200),
        ({"path": "/models/a/b", "root_path": "/llm", "raw_path": b"/models/a%2Fb"}, 200),
        ({"path": "/l m/models/a/b", "root_path": "/l m", "raw_path": b"/l%20m/models/a%2Fb"}, 200),
        ({"path": "/l m/models/a/b", "root_path": "/l m", "raw_path": b"/l%20m/models/a/b"}, 200),
        ({"path": "/models/a/b", "root_path": "", "raw_path": None}, 200),
        ({"path": "/models/a%2Fb", "root_path": ""}, 200),
        ({"path": "/llm/models/a/b", "root_path": "/llm", "raw_path": b"/llm%2fmodels/a/b"}, 404),
        ({"path": "/models/a/b", "root_path": "", "raw_path": b"/llm%2fmodels/a/b"}, 404),
        ({"path": "/llm/models/a/b", "root_path": "/llm", "raw_path": b"/llm/models%2fa/b"}, 404),
        ({"path": "/models/models/a", "root_path": "/models", "raw_path": b"/models/models%2fa"}, 404),
    ],
)
async def test_encoded_below_a_mount(scope, status):
    """Some apps cut off where they mount, some do not; the raw path they leave as it was, or drop."""
    answer = Answer()
    whole = {**http_scope("GET", "/", {}, 0), **scope}
    if "raw_path" not in scope:
        del whole["raw_path"]
    try:
        await BEHIND(whole, None, answer.take)
    except NotFound as error:
        answer.status = error.status

    assert answer.status == status
    assert answer.chunks == [b'["one",{"id":"%b"}]' % scope["path"].rpartition("models/")[2].encode()] * (status == 200)


async def test_a_path_full_of_slashes_takes_no_time(call):
    """Eight KiB are let in; looking for the mount in it must not take the square of that."""
    raw = 4000 * "/" + 1000 * "%41"
    started = time.process_time()

    with pytest.raises(NotFound):
        await call(BEHIND, method="GET", path=unquote(raw), raw_path=raw.encode(), root_path="/llm")

    assert time.process_time() - started < 0.05


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/v1/v1/messages", "this client adds /v1 by itself: leave it out of the base URL"),
        ("/v1/chat/completions/", "leave out the slash at its end"),
        ("/v1/no", "chat is at /v1/chat/completions, models are at /v1/models, and all else is in /openapi.json"),
    ],
)
async def test_says_what_is_wrong_with_a_base_url(path, advice):
    """Anthropic's SDK and Claude Code add /v1 to the base URL that OpenAI's want to end in it."""
    with pytest.raises(NotFound) as raised:
        await get(Paths([]), path)

    assert raised.value.message == f"nothing is at {path}; {advice}"


class Twice:
    """An API of somebody's own, in the place of one that is built in."""

    routes = (("POST", "/chat/completions"), ("GET", "/files/{id}"))

    def __init__(self, name):
        self.name = name


async def test_of_two_dialects_with_one_route_the_later_has_it():
    """Whoever brings his own does not want that of the gateway."""
    router = Router(
        [Twice("built in"), Twice("own")],
        inference=saying("inference"),
        websockets=saying("websockets"),
        other=saying("other"),
    )

    assert (await get(router, "/v1/files/7")).body == b"inference own"
    assert (await post(router, "/v1/chat/completions")).body == b"inference own"
