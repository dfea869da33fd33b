"""AuthMiddleware, alone around a foreign app."""

import pytest

from gateway.contract import Caller
from gateway.errors import RateLimited, Unauthorized, Unavailable
from gateway.identity.callers import Callers
from gateway.middleware import AuthMiddleware
from gateway.middleware.auth import keys_of
from gateway.middleware.failures import Failures
from gateway.proxy.exchange import Exchange
from gateway.secrecy.secret import Secret
from gateway.secrecy.tokens import PERSONAL, VIRTUAL_ACCOUNT, mint
from gateway.testing import get, http_scope

ANA, CI, BOB = Caller("user:ana@example.com"), Caller("virtualaccount:ci"), Caller("user:bob@example.com")
TOKENS = Callers([(Secret(f"token-of-{name}"), caller) for name, caller in (("ana", ANA), ("ci", CI), ("bob", BOB))])


class Verified:
    """`Tokens` that are known only after somebody was asked."""

    def __init__(self, answer):
        self.answer = answer

    def find(self, token):
        return CI if token == b"token-of-ci" else None

    async def verify(self, token):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if token == b"a.jwt.x" else None


async def whoami(scope, receive, send):
    exchange = Exchange.of(scope)
    key = exchange.provider_key.reveal() if exchange.provider_key is not None else "none"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{exchange.caller.subject} {key}".encode("latin-1")})


APP = AuthMiddleware(whoami, tokens=TOKENS)


async def who(app, headers):
    return (await get(app, "/", headers=headers)).body.decode("latin-1").split(" ", 1)


@pytest.mark.parametrize(
    ("headers", "subject"),
    [
        ({"authorization": "Bearer token-of-ana"}, ANA.subject),
        ({"authorization": "bearer token-of-ana"}, ANA.subject),
        ({"authorization": "BEARER   token-of-ana "}, ANA.subject),
        ({"x-api-key": "token-of-ci"}, CI.subject),
        ({"api-key": "token-of-ci"}, CI.subject),
        ({"xi-api-key": "token-of-ci"}, CI.subject),
        ({"authorization": "Token token-of-ci"}, CI.subject),
        ({"x-tfy-api-key": "token-of-bob"}, BOB.subject),
        ({"x-tfy-api-key": "token-of-bob", "authorization": "Bearer token-of-ana"}, BOB.subject),
        ({"x-tfy-api-key": "token-of-bob", "authorization": "Bearer unknown", "x-api-key": "unknown"}, BOB.subject),
        ({"authorization": "Bearer token-of-ana", "x-api-key": "token-of-ci"}, ANA.subject),
        ({"authorization": "Basic dTpw", "x-api-key": "token-of-ci"}, CI.subject),
    ],
)
async def test_finds_the_caller(headers, subject):
    """OpenAI's SDK sends Bearer, Anthropic's x-api-key, Azure's api-key; x-tfy-api-key is there for whoever needs the
    others."""
    assert (await who(APP, headers))[0] == subject


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer unknown"},
        {"authorization": "Bearer token-of-an"},
        {"authorization": "Bearer token-of-anaa"},
        {"authorization": "Bearer TOKEN-OF-ANA"},
        {"authorization": "Bearer token-of-ana, token-of-ana"},
        {"authorization": "Bearer \xff\xfe"},
        {"authorization": "Bearer " + 10_000 * "x"},
        {"x-api-key": "unknown"},
        {"x-tfy-api-key": "unknown", "authorization": "Bearer token-of-ana"},
        {"x-tfy-api-key": "Bearer token-of-ana"},
        {"x-api-key": "Bearer token-of-ana"},
    ],
)
async def test_all_strangers_look_the_same(headers):
    """Whether a token was ever known is nobody's business; neither is it repeated."""
    with pytest.raises(Unauthorized) as raised:
        await get(APP, "/", headers=headers)

    assert raised.value.message == "the token is not known here, or no longer valid; ask the operator for a new one"


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Basic dTpw"}, {"x-api-key": ""}],
)
async def test_no_token(headers):
    with pytest.raises(Unauthorized, match=r"^no token; send it in the Authorization header"):
        await get(APP, "/", headers=headers)


async def test_a_token_of_spaces_is_none():
    with pytest.raises(Unauthorized):
        await get(APP, "/", headers={"authorization": "Bearer    "})


async def test_bodies_of_strangers_are_not_read():
    """Else anybody could fill the memory."""

    async def receive():
        raise AssertionError("read")

    async def run():
        await APP(http_scope("POST", "/", {}, 10_000_000), receive, None)

    with pytest.raises(Unauthorized):
        await run()


async def test_who_is_not_known_is_asked_for():
    app = AuthMiddleware(whoami, tokens=Verified(ANA))

    assert await who(app, {"authorization": "Bearer a.jwt.x"}) == [ANA.subject, "none"]
    with pytest.raises(Unauthorized):
        await get(app, "/", headers={"authorization": "Bearer another.jwt.x"})


async def test_nobody_is_refused_because_nobody_can_say():
    """While the database is away, 503 tells clients to come again; 401 would make them throw the token away."""
    failures = Failures(limit=0)
    app = AuthMiddleware(whoami, tokens=Verified(Unavailable("not now")), failures=failures)

    with pytest.raises(Unavailable):
        await get(app, "/", headers={"authorization": "Bearer a.jwt.x"})


# --- WebSockets --------------------------------------------------------------

KEY = "openai-insecure-api-key."


async def who_opens(call, subprotocols, **headers):
    [_, body] = await call(APP, type="websocket", subprotocols=subprotocols, headers=headers)
    return body["body"].decode().split()[0]


@pytest.mark.parametrize(
    ("subprotocols", "headers", "subject"),
    [
        (["realtime", KEY + "token-of-ana", "openai-beta.realtime-v1"], {}, ANA.subject),
        ([KEY + "token-of-ci"], {}, CI.subject),
        (["realtime"], {"authorization": "Bearer token-of-bob"}, BOB.subject),
        ([], {"x-api-key": "token-of-bob"}, BOB.subject),
        (["realtime", KEY + "token-of-ana"], {"authorization": "Bearer token-of-bob"}, BOB.subject),
    ],
)
async def test_a_page_sends_its_token_as_a_subprotocol(call, subprotocols, headers, subject):
    """A browser lets it set no headers. Where there is one it counts, as the proxy in front may have set it."""
    assert await who_opens(call, subprotocols, **headers) == subject


@pytest.mark.parametrize(
    "subprotocols",
    [[], ["realtime"], [KEY], ["token-of-ana"], ["x-" + KEY + "token-of-ana"], [KEY + "unknown"], [KEY + "\xe9\u20ac"]],
)
async def test_other_subprotocols_are_no_token(call, subprotocols):
    with pytest.raises(Unauthorized):
        await who_opens(call, subprotocols)


async def test_a_request_has_no_subprotocols():
    """The header means nothing there."""
    with pytest.raises(Unauthorized):
        await who(APP, {"sec-websocket-protocol": f"realtime, {KEY}token-of-ana"})


# --- who tries tokens --------------------------------------------------------


async def test_who_guesses_is_slowed_down_and_nobody_else():
    """Not who has a token and calls from the same address, nor who has sent none at all."""
    app = AuthMiddleware(whoami, tokens=TOKENS, failures=Failures(limit=2, clock=lambda: 0.0))
    answers = []
    for headers in [{"x-api-key": "guess"}, {"x-api-key": "token-of-ci"}, {}] * 4:
        try:
            answers.append((await who(app, headers))[0])
        except (Unauthorized, RateLimited) as refused:
            answers.append(refused.status)

    assert answers == [401, CI.subject, 401, 401, CI.subject, 401, 429, CI.subject, 401, 429, CI.subject, 401]


# --- the caller's own key ----------------------------------------------------


@pytest.mark.parametrize(
    "key",
    ["Bearer sk-of-the-caller", "Basic dTpw", "sk-of-the-caller", "Bearer  sk  x", "Bearer a.jwt.x"],
)
async def test_with_the_token_elsewhere_authorization_is_for_the_provider(key):
    """As it came, whatever its scheme."""
    assert await who(APP, {"x-tfy-api-key": "token-of-bob", "authorization": key}) == [BOB.subject, key]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer token-of-ana"},
        {"x-api-key": "token-of-ci"},
        {"authorization": "Bearer token-of-ana", "x-api-key": "sk-of-the-caller"},
        {"authorization": "Basic sk-of-the-caller", "x-api-key": "token-of-ci"},
        {"x-tfy-api-key": "token-of-bob", "x-api-key": "sk-of-the-caller"},
        {"x-tfy-api-key": "token-of-bob", "authorization": ""},
    ],
)
async def test_otherwise_nothing_is_for_the_provider(headers):
    """A token that came as Authorization or x-api-key is the gateway's, and stays in the house."""
    assert (await who(APP, headers))[1] == "none"


@pytest.mark.parametrize(
    "key",
    [
        "Bearer token-of-bob",
        "bearer   token-of-bob  ",
        "token-of-bob",
        "Basic token-of-bob",
        "Bearer sk-1 token-of-bob",
        "Bearer token-of-ana",
        pytest.param(f"Bearer {mint(PERSONAL).text}", id="a person's token that nobody has"),
        pytest.param(f"Bearer {mint(VIRTUAL_ACCOUNT).text}", id="an account's token that nobody has"),
    ],
)
async def test_a_token_of_the_gateway_is_never_for_the_provider(key):
    """SDKs put what they are given into Authorization too; and one that has expired, or is another's, is no less a
    token of the gateway."""
    assert await who(APP, {"x-tfy-api-key": "token-of-bob", "authorization": key}) == [BOB.subject, "none"]


@pytest.mark.parametrize(("answer", "key"), [(ANA, "none"), (Unavailable("not now"), "Bearer a.jwt.x")])
async def test_a_jwt_that_is_good_here_is_not_for_the_provider(answer, key):
    """One that nobody can say anything about just now is none of ours, as far as anybody knows."""
    app = AuthMiddleware(whoami, tokens=Verified(answer))

    assert await who(app, {"x-tfy-api-key": "token-of-ci", "authorization": "Bearer a.jwt.x"}) == [CI.subject, key]


async def test_the_token_itself_is_never_for_the_provider():
    """Not even if nobody can say any more, a moment later, that it is one."""

    class Once(Verified):
        async def verify(self, token):
            answer, self.answer = self.answer, Unavailable("not now")
            if isinstance(answer, Exception):
                raise answer
            return answer

    app = AuthMiddleware(whoami, tokens=Once(ANA))

    assert await who(app, {"x-tfy-api-key": "a.jwt.x", "authorization": "Bearer a.jwt.x"}) == [ANA.subject, "none"]


def test_the_callers_key_does_not_show_itself():
    token, key = keys_of({b"x-tfy-api-key": b"t", b"authorization": b"Bearer canary"})
    exchange = Exchange(provider_key=key)

    assert token == b"t"
    assert "canary" not in f"{key!r} {key} {exchange!r}"
