"""Pages in browsers, on the whole gateway."""

import pytest

from gateway.errors import ConfigError
from gateway.middleware.cors import cors
from gateway.testing import FakeUpstream, post, request

PAGE = "https://chat.example.com"
CHAT = "/v1/chat/completions"
ASK = {"model": "mock/m", "messages": []}
REPLY = (200, [b'{"choices":[]}'])
WANTS = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang,x-tfy-metadata",
}


@pytest.fixture
def app(app_with):
    return app_with(FakeUpstream(REPLY), cors_origins=[PAGE])


def cors_headers(answer):
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", [CHAT, "/embeddings", "/v1/models", "/api/svc/v1/me", "/api/svc/v1/apply", "/healthz"])
async def test_preflights_need_no_token(app, path):
    """A browser sends none with them; they were answered with 405 and 401."""
    answer = await request(app, "OPTIONS", path, headers=WANTS)

    assert answer.status == 200
    assert cors_headers(answer) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": WANTS["access-control-request-headers"],
        "access-control-max-age": "600",
    }


@pytest.mark.parametrize("origin", ["https://evil.test", "http://chat.example.com", f"{PAGE}.evil.test", "null", ""])
async def test_pages_from_elsewhere(app, auth, origin):
    preflight = await request(app, "OPTIONS", CHAT, headers={**WANTS, "origin": origin})
    answer = await post(app, CHAT, ASK, headers={**auth, "origin": origin})

    assert (preflight.status, preflight.headers.get("access-control-allow-origin")) == (400, None)
    assert (answer.status, answer.headers.get("access-control-allow-origin")) == (200, None)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (CHAT, {"authorization": "Bearer gw-test-0123456789abcdef"}, 200),
        (CHAT, {}, 401),
        ("/nothing", {}, 404),
        ("/v1/models", {}, 405),
        (CHAT, {"content-encoding": "gzip"}, 415),
        (CHAT, {"host": "a/b"}, 400),
    ],
)
async def test_pages_may_read_every_answer(app, path, headers, status):
    """Without the header, a page is told of an error that it could not be read, and nothing else."""
    answer = await post(app, path, ASK, headers={"origin": PAGE, **headers})

    assert (answer.status, answer.headers["vary"]) == (status, "Origin")
    assert cors_headers(answer) == {"access-control-allow-origin": PAGE, "access-control-expose-headers": "*"}
    assert len(answer.headers["x-request-id"]) == 32


async def test_pages_from_anywhere_have_no_credentials(app_with, auth):
    app = app_with(FakeUpstream(REPLY), environ={"GATEWAY_ADMIN_TOKEN": auth["authorization"][7:]}, cors_origins=["*"])

    preflight = await request(app, "OPTIONS", CHAT, headers=WANTS)
    answer = await post(app, CHAT, ASK, headers={**auth, "origin": PAGE, "cookie": "a=b"})

    assert [found.headers["access-control-allow-origin"] for found in (preflight, answer)] == ["*", "*"]
    assert "access-control-allow-credentials" not in {**preflight.headers, **answer.headers}


@pytest.mark.parametrize("setting", [PAGE, f" https://other.test , {PAGE.upper()}:443,", "*", f"{PAGE},{PAGE}"])
async def test_the_setting(app_with, auth, token, setting):
    app = app_with(FakeUpstream(REPLY), environ={"GATEWAY_ADMIN_TOKEN": token, "GATEWAY_CORS_ORIGINS": setting})

    answer = await post(app, CHAT, ASK, headers={**auth, "origin": PAGE})

    assert answer.headers["access-control-allow-origin"] in (PAGE, "*")


@pytest.mark.parametrize("setting", ["", " ", ","])
async def test_off_it_is_not_there(app_with, auth, token, setting):
    app = app_with(FakeUpstream(REPLY), environ={"GATEWAY_ADMIN_TOKEN": token, "GATEWAY_CORS_ORIGINS": setting})

    preflight = await request(app, "OPTIONS", CHAT, headers=WANTS)
    answer = await post(app, CHAT, ASK, headers={**auth, "origin": PAGE})

    assert (preflight.status, answer.status) == (405, 200)
    assert cors_headers(preflight) == cors_headers(answer) == {}


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "chat.example.com",
            "null",
            "file://",
            "https://",
            "https://*.example.com",
            "https://a b",
            "https://\xe9.test",
        ),
        *(f"{PAGE}/", f"{PAGE}/x", f"{PAGE}?x", f"{PAGE}:x", "https://user@a.test", f"*, {PAGE}"),
    ],
)
def test_what_is_no_origin(app_with, token, origin):
    """No browser would ever send it, so nothing would work and nobody say why."""
    with pytest.raises(ConfigError, match=r"GATEWAY_CORS_ORIGINS: .* is no origin"):
        app_with(None, environ={"GATEWAY_ADMIN_TOKEN": token, "GATEWAY_CORS_ORIGINS": origin})


def test_without_origins_it_costs_nothing():
    async def app(scope, receive, send): ...

    assert cors(app, []) is app


async def test_websockets_pass_from_anywhere(app, auth, call):
    """Browsers ask nobody before they open one. It needs a token all the same, and none comes by itself."""
    headers = {"origin": "https://evil.test"}

    sent = [
        await call(app, {"type": "websocket.connect"}, type="websocket", path="/v1/realtime", headers=given)
        for given in (headers, headers | auth)
    ]

    assert [message["reason"].partition(";")[0] for [message] in sent] == [
        "no token",
        "the query names no model: open /v1/realtime?model=account/model",
    ]
