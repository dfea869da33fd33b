"""AuthMiddleware, alone around a foreign app."""

import pytest

from gateway.contract import Caller
from gateway.errors import Unauthorized
from gateway.exchange import Exchange
from gateway.middleware import AuthMiddleware
from gateway.stores.tokens import HashedTokens
from gateway.testing import get, http_scope

ANA, CI, BOB = Caller("user:ana@example.com"), Caller("virtualaccount:ci"), Caller("user:bob@example.com")
TOKENS = HashedTokens([("token-of-ana", ANA), ("token-of-ci", CI), ("token-of-bob", BOB)])


async def whoami(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": Exchange.of(scope).caller.subject.encode()})


APP = AuthMiddleware(whoami, tokens=TOKENS)


@pytest.mark.parametrize(
    ("headers", "subject"),
    [
        ({"authorization": "Bearer token-of-ana"}, ANA.subject),
        ({"authorization": "bearer token-of-ana"}, ANA.subject),
        ({"authorization": "BEARER   token-of-ana "}, ANA.subject),
        ({"x-api-key": "token-of-ci"}, CI.subject),
        ({"x-tfy-api-key": "token-of-bob"}, BOB.subject),
        ({"x-tfy-api-key": "token-of-bob", "authorization": "Bearer token-of-ana"}, BOB.subject),
        ({"x-tfy-api-key": "token-of-bob", "authorization": "Bearer unknown", "x-api-key": "unknown"}, BOB.subject),
        ({"authorization": "Bearer token-of-ana", "x-api-key": "token-of-ci"}, ANA.subject),
        ({"authorization": "Basic dTpw", "x-api-key": "token-of-ci"}, CI.subject),
    ],
)
async def test_finds_the_caller(headers, subject):
    """OpenAI's SDK sends Bearer, Anthropic's x-api-key; x-tfy-api-key is there for whoever needs the others."""
    answer = await get(APP, "/", headers=headers)

    assert answer.body.decode() == subject


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
    with pytest.raises(Unauthorized, match=r"^no token; send it as"):
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
