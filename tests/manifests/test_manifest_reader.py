"""From manifests to structs: every fault at once, each with its place, none with a value."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from gateway.errors import ConfigError, Fault
from gateway.manifests import Secrets, loads, read
from gateway.manifests.references import FormOnly
from gateway.secrecy.secret import Secret, SecretJson, SecretText


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Basic(msgspec.Struct, tag_field="type", tag="basic"):
    user: str


class Bearer(msgspec.Struct, tag_field="type", tag="bearer"):
    token: Secret


class Item(msgspec.Struct, kw_only=True):
    name: str
    size: Annotated[int, Meta(ge=0)] = 0
    kind: Literal["small", "large"] = "small"
    price: float | None = None
    auth: Basic | Bearer | None = None
    only: Bearer | None = None


class Thing(msgspec.Struct, kw_only=True):
    """Has one of everything."""

    type: str
    name: str | None = None
    label: str | None = None
    items: tuple[Item, ...] = ()
    by_name: dict[str, Item] = {}
    headers: dict[str, Secret] = {}
    colour: Colour = Colour.RED
    owned_by: str | None = msgspec.field(default=None, name="ownedBy")
    anything: Any = None
    tags: list[str] | str | None = None
    pair: tuple[int, str] | None = None
    few: Annotated[list[int], Meta(max_length=2)] | None = None
    word: Annotated[str, Meta(pattern="^[a-z]+$", description="a word")] | None = None
    fallback: Item | str | None = None
    limit: int | str | None = None

    def __post_init__(self) -> None:
        if self.name == "cursed":
            raise ValueError("nothing may be called that")


ENVIRON = {"LIMIT": "20000", "HOST": "example.com", "G_K": "canary-123", "KEY": "canary-123"}


def thing(text, struct=Thing):
    (manifest,) = loads("type: thing\n" + text, "a.yaml")
    return read(manifest, struct, Secrets(ENVIRON))


def faults(text):
    with pytest.raises(ConfigError) as caught:
        thing(text)
    assert "canary" not in str(caught.value)
    return [(fault.line, fault.path, fault.message) for fault in caught.value.faults]


def test_reads_a_struct():
    text = """\
items:
  - {name: a, size: 3, kind: large, price: 2, auth: {type: bearer, token: x}, only: {token: "y"}}
by_name: {b: {name: b, auth: {type: basic, user: u}}}
headers: {X-Key: "Bearer tfy-secret://t:g:k"}
colour: blue
ownedBy: me
tags: [a, b]
pair: [1, "2"]
few: [1]
word: abc
fallback: {name: c}
limit: 5
"""
    assert thing(text) == (
        Thing(
            type="thing",
            items=(
                Item(
                    name="a",
                    size=3,
                    kind="large",
                    price=2.0,
                    auth=Bearer(token=Secret("x")),
                    only=Bearer(token=Secret("y")),
                ),
            ),
            by_name={"b": Item(name="b", auth=Basic(user="u"))},
            headers={"X-Key": Secret("Bearer canary-123")},
            colour=Colour.BLUE,
            owned_by="me",
            tags=["a", "b"],
            pair=(1, "2"),
            few=[1],
            word="abc",
            fallback=Item(name="c"),
            limit=5,
        ),
        [],
    )


def test_puts_variables_into_any_text():
    text = """\
label: http://${HOST}
by_name: {a: {name: "${HOST}"}}
anything: {deep: [{url: "${HOST}/a"}, 1, null]}
tags: ["${HOST}"]
fallback: ${HOST}
colour: ${COLOUR:-blue}
limit: ${HOST}
"""
    value, _ = thing(text)

    assert value == Thing(
        type="thing",
        label="http://example.com",
        by_name={"a": Item(name="example.com")},
        anything={"deep": [{"url": "example.com/a"}, 1, None]},
        tags=["example.com"],
        fallback="example.com",
        colour=Colour.BLUE,
        limit="example.com",
    )


def test_unknown_fields_are_warnings():
    """A newer manifest must not stop an older gateway; a slip of the pen should still be seen."""
    text = """\
item: []
items:
  - name: a
    kidn: small
    auth:
      type: basic
      user: u
      pass: canary
by_name:
  x: {name: b, zzz: 1}
fallback: {name: c, sizes: 1}
"""
    value, warnings = thing(text)

    assert value.items == (Item(name="a", auth=Basic(user="u")),)
    assert warnings == [
        Fault("a.yaml", 2, "item", "unknown field; did you mean `items`?"),
        Fault("a.yaml", 5, "items[0].kidn", "unknown field; did you mean `kind`?"),
        Fault("a.yaml", 9, "items[0].auth.pass", "unknown field"),
        Fault("a.yaml", 11, "by_name.x.zzz", "unknown field"),
        Fault("a.yaml", 12, "fallback.sizes", "unknown field; did you mean `size`?"),
    ]


def test_unknown_fields_of_a_strict_struct_are_warnings_too():
    class Strict(msgspec.Struct, forbid_unknown_fields=True):
        type: str

    assert thing("extra: 1\n", Strict) == (Strict("thing"), [Fault("a.yaml", 2, "extra", "unknown field")])


def test_tells_all_faults_at_once():
    text = """\
label: 123
items:
  - size: -1
    name: true
    kind: smal
    price: cheap
  - kind: large
    auth: {type: bearr, token: canary}
  - canary
by_name: [canary]
headers: {X-Key: 7, X-Other: "tfy-secret://t:no:key"}
colour: canary
owned_by: me
tags: {a: b}
pair: [1]
few: [1, a]
word: CANARY
fallback: 3
limit: 1.5
"""
    assert faults(text) == [
        (2, "label", "must be text; put it in quotes"),
        (4, "items[0].size", "Expected `int` >= 0"),
        (5, "items[0].name", "must be text; put it in quotes"),
        (6, "items[0].kind", "must be one of: small, large; did you mean `small`?"),
        (7, "items[0].price", "must be a number"),
        (8, "items[1]", "missing required field `name`"),
        (9, "items[1].auth.type", "must be one of: basic, bearer; did you mean `bearer`?"),
        (10, "items[2]", "Expected `object`, got `str`"),
        (11, "by_name", "Expected `object`, got `array`"),
        (12, "headers.X-Key", "must be text; put it in quotes"),
        (12, "headers.X-Other", "secret is missing or empty: no environment variable NO_KEY"),
        (13, "colour", "must be one of: red, blue"),
        (14, "owned_by", "unknown field; did you mean `ownedBy`?"),
        (15, "tags", "Expected `str | array | null`, got `object`"),
        (16, "pair", "Expected `array` of length 2, got 1"),
        (17, "few[1]", "must be a whole number"),
        (18, "word", "must be a word"),
        (19, "fallback", "Expected `str | object | null`, got `int`"),
        (20, "limit", "Expected `int | str | null`, got `float`"),
    ]


@pytest.mark.parametrize("value", ["20000", "2e4", "2e+04", "20000.0", "20_000", "'20000'", '"2e+04"', "'${LIMIT}'"])
def test_a_whole_number_however_it_is_written(value):
    """Helm writes one of seven digits as 1e+06, and variables and quotes make text of it."""
    read_item, _ = thing(f"items: [{{name: a, size: {value}, price: {value}}}]\nfew: [{value}]\n")

    assert (read_item.items[0].size, read_item.items[0].price, read_item.few) == (20000, 20000.0, [20000])
    assert type(read_item.items[0].size) is int


@pytest.mark.parametrize(
    "value", ["1.5", "true", "null", "nan", ".nan", "inf", "1e99", "1e999", "'1,000'", "0x10", "'true'"]
)
def test_what_is_no_whole_number(value):
    assert faults(f"items:\n- {{name: a, size: {value}}}\n") == [(3, "items[0].size", "must be a whole number")]


@pytest.mark.parametrize("value", ["true", "nan", ".inf", "1e999", "ten", "''"])
def test_what_is_no_number(value):
    assert faults(f"items:\n- {{name: a, price: {value}}}\n") == [(3, "items[0].price", "must be a number")]


def test_text_stays_text():
    """Where both may stand, too; and a name of digits is a name."""
    value, _ = thing("label: '5'\nlimit: '5'\ntags: ['1e6']\npair: [1, '2']\nanything: '7'\n")

    assert (value.label, value.limit, value.tags, value.pair, value.anything) == ("5", "5", ["1e6"], (1, "2"), "7")


def test_an_unknown_field_is_told_beside_what_is_missing():
    """The one is often why the other is; alone, neither is found."""
    assert faults("items:\n- {nmae: a, sizes: 3}\ncolor: red\n") == [
        (3, "items[0]", "missing required field `name`"),
        (3, "items[0].nmae", "unknown field; did you mean `name`?"),
        (3, "items[0].sizes", "unknown field; did you mean `size`?"),
        (4, "color", "unknown field; did you mean `colour`?"),
    ]


@pytest.mark.parametrize("token", ["''", "' '", "'${NOTHING:-}'", '"\\n"'])
def test_a_key_of_nothing(token):
    """Every request would be refused by the provider, and nothing said why."""
    assert faults(f"items:\n- name: a\n  only: {{token: {token}}}\n") == [
        (4, "items[0].only.token", "must not be empty")
    ]


def test_a_password_may_be_empty():
    """Some servers take a key as the user, and nothing besides."""

    class Open(msgspec.Struct):
        type: str
        password: SecretText

    assert thing("password: ''\n", Open)[0] == Open("thing", Secret(""))


def test_a_mask_is_no_secret():
    """What the API answers was pasted into a file."""
    assert faults("headers: {a: '***1a2b3c4d'}\n") == [
        (2, "headers.a", "is the mask of a secret; write the secret itself, or a tfy-secret:// reference")
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: cursed\n", (1, "", "nothing may be called that")),
        ("few:\n  - 1\n  - 2\n  - 3\n", (2, "few", "Expected `array` of length <= 2")),
        ("label:\n  a: 1\n", (2, "label", "Expected `str`, got `object`")),
        ("items:\n- name: a\n  only: {type: basic, token: x}\n", (4, "items[0].only.type", "must be one of: bearer")),
        ("items:\n- name: a\n  auth: {token: x}\n", (4, "items[0].auth.type", "must be one of: basic, bearer")),
        ("items:\n- name: a\n  only: {}\n", (4, "items[0].only", "missing required field `token`")),
        ("items:\n- name: a\n  only: {token: }\n", (4, "items[0].only.token", "must not be empty")),
        ("items: null\n", (2, "items", "Expected `array`, got `null`")),
    ],
)
def test_says_what_is_wrong_and_where(text, fault):
    assert faults(text) == [fault]


@pytest.mark.parametrize("field", ["label", "anything", "colour", "word"])
def test_a_secret_has_no_place_in_a_field_that_is_shown(field):
    assert faults(f"{field}: tfy-secret://t:g:k\n") == [
        (2, field, "no secret is allowed here, because this field is shown in logs and listings")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "colour: ${KEY}\n",
        "word: ${KEY}\n",
        "pair: ['${KEY}', a]\n",
        "items: ['${KEY}']\n",
        "items: [{name: a, kind: '${KEY}', auth: {type: '${KEY}'}}]\n",
        "headers: {a: 'tfy-secret://t:g:k tfy-secret://canary'}\n",
    ],
)
def test_no_fault_shows_a_value(text):
    """`faults` looks for the canary."""
    assert faults(text)


# --- what secrets hold -------------------------------------------------------


class Login(msgspec.Struct):
    type: str
    key: Secret = Secret("")
    password: SecretText | None = None


def test_a_password_may_hold_what_a_key_may_not():
    """It is encoded before it is sent."""
    value, _ = thing('password: "p\\u2019 \\t x"', Login)

    assert value.password == Secret("p\u2019 \t x")
    with pytest.raises(ConfigError, match=r"a.yaml:2: key: the text holds a tab, which cannot be sent"):
        thing('key: "p\\tx"', Login)


class KeyFile(msgspec.Struct):
    type: str
    content: SecretJson


@pytest.mark.parametrize(
    "written",
    ['\'{"id":"a","key":"canary-123"}\'', "{id: a, key: canary-123}", '{id: a, key: "${KEY}"}', "{id: a, key: 'tfy-secret://t:g:k'}"],
)  # fmt: skip
def test_a_key_file_is_written_as_text_or_as_it_is(written):
    """Google's console gives out files; people paste them either way."""
    value, warnings = thing(f"content: {written}\n", KeyFile)

    assert (value.content, warnings) == (Secret('{"id":"a","key":"canary-123"}'), [])


def test_a_reference_in_a_key_file_that_leads_nowhere_has_its_path():
    with pytest.raises(ConfigError, match=r"a.yaml:2: content.inner\[0\]: "):
        thing("content: {inner: ['${NO_SUCH}']}\n", KeyFile)


@pytest.mark.parametrize(
    ("value", "is_placeholder"),
    [
        ("<your-api-key>", True),
        ("sk-...", True),
        ("YOUR_API_KEY", True),
        ("your-openai-api-key", False),
        ("YOUR_KEY_HERE", True),
        ("sk-your-key", True),
        ("xxxxxxxx", True),
        ("changeme", True),
        ("{{ key }}", True),
        ("sk-proj-0a1b2c3d", False),
        ("key-of-a", False),
        ("your keyboard", False),
    ],
)
@pytest.mark.parametrize("form", ["{}", "${{VALUE}}", "tfy-secret://t:v:alue"])
def test_what_looks_like_a_placeholder_is_a_warning(value, is_placeholder, form):
    """Left as a template gave it. Wherever it stands; it may be a key all the same."""
    (manifest,) = loads("type: login", "a.yaml")
    manifest.data["key"] = form.format(value)

    _, warnings = read(manifest, Login, Secrets({"VALUE": value, "V_ALUE": value}))

    expected = [Fault("a.yaml", 1, "key", "looks like a placeholder, and not like a secret")]
    assert warnings == (expected if is_placeholder else [])


def test_without_secrets_what_is_missing_has_a_stand_in_that_fits():
    text = """\
type: thing
label: ${LABEL}
word: ${SOMEWORD}
headers: {x-key: "tfy-secret://t:g:k", x-more: "${MORE}"}
items: [{name: "${A}"}, {name: "${B}", kind: small}]
"""
    (manifest,) = loads(text, "a.yaml")

    value, warnings = read(manifest, Thing, FormOnly({}))

    assert (value.label, value.word, [item.name for item in value.items], warnings) == (
        "label",
        "someword",
        ["a", "b"],
        [],
    )
