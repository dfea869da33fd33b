"""Secrets as they are kept, and as they are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.secrecy.sealing import PREFIX, Seal, mask

SEAL = Seal(b"a-pepper-of-some-length")
TEXTS = ["canary", "", "ä \u2028 \U0001f511", "sealed:v1:canary", "***@v3", 100_000 * "x"]
CANNOT = "a stored secret cannot be opened: GATEWAY_PEPPER has changed, or it is damaged"


@pytest.mark.parametrize("text", TEXTS)
def test_what_was_closed_can_be_opened(text):
    sealed = SEAL.close(text)

    assert SEAL.open(sealed) == text
    assert sealed.startswith(PREFIX)
    assert "canary" not in sealed


def test_data_that_was_closed_can_be_opened_by_the_same_pepper_only():
    sealed = SEAL.close_data(b"canary \x00\xff")

    assert SEAL.open_data(sealed) == b"canary \x00\xff"
    assert b"canary" not in sealed
    for seal, data in ((Seal(b"another"), sealed), (SEAL, sealed[:-1]), (SEAL, b""), (SEAL, b"x" + sealed[1:])):
        with pytest.raises(ValueError, match="cannot be opened"):
            seal.open_data(data)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_opened_again(text):
    assert SEAL.open(SEAL.close(text)) == text


def test_the_same_secret_never_looks_the_same():
    """Else the database would tell which accounts share a key."""
    assert len({SEAL.close("k") for _ in range(1000)}) == 1000


def test_what_was_sealed_once_can_be_opened_for_good():
    """Written down, so that a change of the format does not go unnoticed."""
    assert SEAL.open("sealed:v1:k6PrjYQc-rJYJb4CNjHssCvPOGxCi_rmlCX4yQLxMEbQvHWI") == "a secret"


def test_another_pepper_opens_nothing():
    sealed = SEAL.close(TEXTS[0])

    with pytest.raises(ValueError, match="cannot be opened") as raised:
        Seal(b"another").open(sealed)

    assert str(raised.value) == CANNOT
    assert "canary" not in repr(raised.getrepr(style="long"))


def test_damage_is_noticed_wherever_it_is():
    """Every byte counts: nonce, text and tag."""
    sealed = SEAL.close("k")
    body = sealed.removeprefix(PREFIX)
    damaged = [PREFIX + body[:at] + ("A" if body[at] != "A" else "B") + body[at + 1 :] for at in range(len(body) - 2)]

    for text in damaged:
        with pytest.raises(ValueError, match="cannot be opened"):
            SEAL.open(text)


@pytest.mark.parametrize(
    "text", ["", PREFIX, PREFIX + "x", PREFIX + "AAAA", PREFIX + "é", "plain text", PREFIX + 40 * "A"]
)
def test_what_was_never_sealed_cannot_be_opened(text):
    with pytest.raises(ValueError, match="cannot be opened") as raised:
        SEAL.open(text)

    assert str(raised.value) == CANNOT


# --- masks -------------------------------------------------------------------


def test_a_mask_tells_the_version_and_nothing_else():
    """It was a digest of the secret: whoever could write a manifest could try out guesses, 2^32 of which would do."""
    assert [mask(SEAL.close(text, 7)) for text in TEXTS] == 6 * ["***@v7"]
    assert [mask(Seal(b"another").close(text, 12)) for text in TEXTS] == 6 * ["***@v12"]


def test_what_was_sealed_without_a_version_has_the_shortest_mask():
    """As in databases that an older gateway wrote; and so has what stands in a file."""
    assert [mask(SEAL.close(text)) for text in TEXTS] == [mask(text) for text in TEXTS] == 6 * ["***"]


@pytest.mark.parametrize("text", TEXTS)
def test_what_was_closed_with_a_version_can_be_opened(text):
    assert SEAL.open(SEAL.close(text, 7)) == text


def test_a_seal_does_not_show_its_pepper():
    seal = Seal(b"canary-pepper")

    assert "canary" not in f"{seal!r} {vars(seal)}"
