"""A key must not be written down by accident."""

import copy
import pickle

import msgspec
import pytest

from gateway.manifests.accounts import ApiKeyAuth
from gateway.secrecy.secret import Secret

KEY = "canary-0123456789"


@pytest.mark.parametrize("write", [repr, str, "{}".format, "{!r}".format, "%s".__mod__, lambda value: f"{value}"])
def test_formatting_shows_stars(write):
    assert write(Secret(KEY)) == "Secret(***)"


@pytest.mark.parametrize("holder", [[Secret(KEY)], {"key": Secret(KEY)}, ApiKeyAuth(api_key=Secret(KEY))])
def test_what_holds_it_shows_stars(holder):
    assert KEY not in repr(holder)


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy, copy.deepcopy])
def test_is_neither_pickled_nor_copied(write):
    """A pickle is a file with the key in it."""
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        write(Secret(KEY))


def test_is_not_encoded_as_json():
    with pytest.raises(TypeError):
        msgspec.json.encode(ApiKeyAuth(api_key=Secret(KEY)))


def test_has_no_dict_to_print():
    assert not hasattr(Secret(KEY), "__dict__")


def test_gives_the_value_when_asked():
    assert Secret(KEY).reveal() == KEY


def test_is_equal_by_value():
    """So that a reload can tell whether a key has changed."""
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY)}) == 1
