"""Secrets inside manifests: found wherever a type says they are, or where nobody can say that they are none."""

import itertools
import types
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import pytest

from gateway.manifests import Manifest, Secrets, kinds, read
from gateway.manifests.secret_fields import change_secrets, is_reference
from gateway.providers.custom_endpoint import CustomEndpoints
from gateway.providers.demo import Demo
from gateway.providers.openai_compatible import OpenAICompatible
from gateway.secrecy.sealing import PREFIX, Seal, mask
from gateway.secrecy.secret import Secret

SEAL = Seal(b"a-pepper-of-some-length")
STRUCTS = {**OpenAICompatible().accounts, **CustomEndpoints().accounts, **Demo().accounts} | {
    type_: struct for type_, struct in kinds.STRUCTS.items() if struct.__module__ == "gateway.manifests.identity"
}
REFERENCE = "tfy-secret://acme:llm-keys:openai"


def masked(kind, data):
    return change_secrets(kind, data, lambda text, _: text if is_reference(text) else mask(text))


def sealed(kind, data):
    return change_secrets(kind, data, lambda text, _: text if is_reference(text) else SEAL.close(text))


def opened(kind, data):
    return change_secrets(kind, data, lambda text, _: SEAL.open(text) if text.startswith(PREFIX) else text)


def secrets_of(kind, data):
    """Path -> text of all that counts as secret."""
    found = {}

    def note(text, path):
        found["/".join(map(str, path))] = text
        return text

    change_secrets(kind, data, note)
    return found


# --- every type there is -----------------------------------------------------

NAMED = {
    "type": "integration/model/x",
    "url": "https://api.example.com/v1",
    "base_url": "https://api.example.com/v1",
    "custom_host": "https://api.example.com",
    "issuer": "https://idp.example.com",
    "jwks_uri": "https://idp.example.com/keys",
    "ca_cert": "-----BEGIN CERTIFICATE-----",
    "expiration_date": "2027-01-31",
    "cartesia_version": "2025-04-16",
    "members": "ana@example.com",
    "managers": "ana@example.com",
    "fallback_status_codes": "503",
    "slug": "all",
    "path": "/vector_stores",
}
"""Fields whose text has a form."""


class Samples:
    """Builds values for types, with every field filled and each secret a canary of its own. Where there are several
    kinds of something, `choose` says which is built."""

    def __init__(self, choose):
        self.choose = choose
        self.most = 1
        self.count = 0

    def canary(self):
        self.count += 1
        return f"canary-{self.count:03}"

    def of(self, kind, name=""):
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        origin, inner = get_origin(kind) or kind, get_args(kind)
        if origin in (Union, types.UnionType):
            members = [member for member in inner if member is not type(None)]
            self.most = max(self.most, len(members))
            return self.of(members[min(self.choose, len(members) - 1)], name)
        if kind is Secret:
            return self.canary()
        if origin is Literal:
            return inner[0]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(kind)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return next(iter(kind)).value
        if origin is tuple:
            return [self.of(inner[0], name)]
        if origin is dict:
            return {"x-key": self.of(inner[1], name)}
        return {str: NAMED.get(name, "open"), int: 30, float: 1.5, bool: True}.get(kind, "open")

    def struct(self, kind):
        config = kind.__struct_config__
        tag = {config.tag_field: config.tag} if config.tag_field else {}
        return tag | {
            field.encode_name: self.of(field.type, field.encode_name) for field in msgspec.structs.fields(kind)
        }


def samples():
    for type_, struct in STRUCTS.items():
        for choice in itertools.count():
            builder = Samples(choice)
            data = builder.struct(struct) | {"type": type_, "name": "sample"}
            yield pytest.param(type_, data, builder.count, id=f"{type_}-{choice}")
            if choice + 1 >= builder.most:
                break


@pytest.mark.parametrize(("type_", "data", "count"), [*samples()])
def test_every_secret_of_every_type_is_found(type_, data, count):
    """In each kind of `auth_data`, in headers, in lists: masked it is gone, sealed it is gone and comes back."""
    struct = STRUCTS[type_]
    found = secrets_of(struct, data)

    shown, kept = masked(struct, data), sealed(struct, data)

    assert sorted(found.values()) == [f"canary-{number:03}" for number in range(1, count + 1)]
    assert "canary" not in repr(shown)
    assert repr(shown).count("***") == count
    assert "canary" not in repr(kept)
    assert repr(kept).count(PREFIX) == count
    assert opened(struct, kept) == data
    assert masked(struct, opened(struct, kept)) == shown


@pytest.mark.parametrize(("type_", "data", "count"), [*samples()])
def test_the_samples_are_manifests(type_, data, count):
    """Else the test above would prove nothing: every field is known, and the reader takes the same text for secret."""
    document, unknown = read(Manifest(type_, "sample", "sample.yaml", 1, data), STRUCTS[type_], Secrets({}))

    assert unknown == []
    assert "canary" not in repr(document)
    assert repr(document).count("Secret(***)") == count


def test_types_with_secrets_are_among_the_samples():
    with_secrets = {param.values[0] for param in samples() if param.values[2]}

    assert with_secrets >= {
        "provider-account/openai",
        "provider-account/groq",
        "provider-account/databricks",
        "provider-account/self-hosted-model",
    }


# --- what the type does not say ----------------------------------------------

OPENAI = STRUCTS["provider-account/openai"]
SELF_HOSTED = STRUCTS["provider-account/self-hosted-model"]


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        ({"auth_data": {"type": "api-key", "api_key": "canary"}}, ["auth_data/api_key"]),
        ({"auth_dta": {"type": "api-key", "api_key": "canary"}}, ["auth_dta/type", "auth_dta/api_key"]),
        ({"auth_data": {"type": "api-key", "api_kye": "canary"}}, ["auth_data/api_kye"]),
        ({"auth_data": {"type": "api-key", "api_key": ["canary"]}}, ["auth_data/api_key/0"]),
        ({"auth_data": {"type": "api-key", "api_key": {"v": ["canary"]}}}, ["auth_data/api_key/v/0"]),
        ({"auth_data": {"type": ["canary"]}}, ["auth_data/type/0"]),
        ({"auth_data": "canary"}, ["auth_data"]),
        ({"auth_data": ["canary"]}, ["auth_data/0"]),
        ({"api_key": "canary"}, ["api_key"]),
        ({"deep": [{"er": [["canary"], {"x": "canary"}]}]}, ["deep/0/er/0/0", "deep/0/er/1/x"]),
        ({"integrations": "canary"}, ["integrations"]),
        ({"integrations": {"x": "canary"}}, ["integrations/x"]),
        ({"integrations": [{"name": "m", "key": "canary"}, "canary"]}, ["integrations/0/key", "integrations/1"]),
        ({"discount_percent": "canary"}, ["discount_percent"]),
        ({"name": ["canary"]}, ["name/0"]),
        ({"collaborators": [{"subject": "user:ana", "role_id": "r", "pin": "canary"}]}, ["collaborators/0/pin"]),
        ({"name": "open", "base_url": "https://open"}, []),
    ],
)
def test_text_that_is_not_expected_counts_as_secret(data, paths):
    """A key whose field was misspelled, or put in the wrong shape, must not lie open."""
    assert [*secrets_of(OPENAI, data)] == paths
    assert "canary" not in repr(masked(OPENAI, data))
    assert opened(OPENAI, sealed(OPENAI, data)) == data


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "basic-auth", "bearer_token": "canary"},
        {"type": "no-such-auth", "token": "canary"},
        {"token": "canary"},
        {"type": ["canary"], "token": "canary"},
        "canary",
    ],
)
def test_auth_data_of_the_wrong_kind_is_hidden(auth):
    data = {"integrations": [{"auth_data": auth, "headers": {"x-key": "canary", "x-none": None, "x-list": ["canary"]}}]}

    shown = masked(SELF_HOSTED, data)

    assert "canary" not in repr(shown)
    assert opened(SELF_HOSTED, sealed(SELF_HOSTED, data)) == data


def test_without_a_type_everything_is_hidden():
    """Of a manifest that no plugin reads; its type and name say which one it is."""
    data = {"type": "provider-account/gone", "name": "x", "key": "canary", "list": [1, None, True, "canary"]}

    shown = masked(None, data)

    assert "canary" not in repr(shown)
    assert (shown["type"], shown["name"], shown["list"][:3]) == ("provider-account/gone", "x", [1, None, True])
    assert opened(None, sealed(None, data)) == data


def test_the_original_stays_as_it_was():
    data = {"auth_data": {"type": "api-key", "api_key": "canary"}, "integrations": [{"headers": {"k": "canary"}}]}
    before = repr(data)

    masked(SELF_HOSTED, data)

    assert repr(data) == before


class Odd(msgspec.Struct):
    """Shapes that a plugin may declare."""

    either: Secret | str = ""
    maybe: Secret | None = None
    pair: tuple[str, Secret] = ("", Secret(""))
    many: list[Secret] = []
    table: dict[str, list[Secret]] = {}
    number: int | str = 0
    colour: Literal["red", "blue"] = "red"
    anything: Any = None
    texts: tuple[str, ...] = ()


def test_secrets_in_shapes_that_plugins_declare():
    data = {
        "either": "canary-1",
        "maybe": "canary-2",
        "pair": ["open", "canary-3", "canary-4"],
        "many": ["canary-5"],
        "table": {"open": ["canary-6"]},
        "number": "open",
        "colour": "blue",
        "anything": {"open": ["open"]},
        "texts": ["open", {"canary": "canary-7"}],
    }

    assert secrets_of(Odd, data) == {
        "either": "canary-1",
        "maybe": "canary-2",
        "pair/1": "canary-3",
        "pair/2": "canary-4",
        "many/0": "canary-5",
        "table/open/0": "canary-6",
        "texts/1/canary": "canary-7",
    }


# --- references --------------------------------------------------------------


@pytest.mark.parametrize("text", [REFERENCE, f"Bearer {REFERENCE}", "${OPENAI_API_KEY}", "Basic ${PAIR}"])
def test_a_reference_is_shown(text):
    """It says where a secret is, and not what it is: whoever reads the manifest needs to know."""
    data = {"auth_data": {"type": "api-key", "api_key": text}}

    assert is_reference(text)
    assert masked(OPENAI, data) == sealed(OPENAI, data) == data


@pytest.mark.parametrize(
    "text",
    [
        "", "sk-canary", f"canary={REFERENCE}", f"{REFERENCE} canary", f"{REFERENCE};canary", f"{REFERENCE}\ncanary",
        f"a canary {REFERENCE}", "${OPENAI_API_KEY:-canary}", "${OPENAI_API_KEY}canary", "canary${OPENAI_API_KEY}",
        "$${canary}", "${}", "tfy-secret://", "Bearer canary", "sealed:v1:canary", "***@v3",
        f"{REFERENCE}, {REFERENCE}",
    ],
)  # fmt: skip
def test_a_reference_with_anything_else_around_it_is_hidden(text):
    """The rest may be half of a password, and the default of a variable a whole one."""
    data = {"auth_data": {"type": "api-key", "api_key": text}}

    assert not is_reference(text)
    assert "canary" not in repr(masked(OPENAI, data))
    assert opened(OPENAI, sealed(OPENAI, {"auth_data": {"type": "api-key", "api_key": "k"}}))["auth_data"] == {
        "type": "api-key",
        "api_key": "k",
    }


class Counted(msgspec.Struct):
    limit: int | None = None
    price: Annotated[float, msgspec.Meta(ge=0)] = 0.0


def test_a_number_in_quotes_is_no_secret():
    """Where a number is expected; any other text there may be a key that was put in the wrong place."""
    assert secrets_of(Counted, {"limit": "1e+06", "price": "0.5"}) == {}
    assert secrets_of(Counted, {"limit": "sk-canary", "price": "true"}) == {"limit": "sk-canary", "price": "true"}
