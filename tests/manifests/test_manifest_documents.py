"""YAML as people expect it, and nothing that could hurt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Fault
from gateway.manifests.builder import steps_text
from gateway.manifests.documents import documents


def values(text):
    found, faults = documents(text, "a.yaml")
    assert faults == []
    return [document.value for document in found]


def faults(text):
    return documents(text, "a.yaml")[1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-10-21", "2024-10-21"),
        ("2024-10-21T10:00:00Z", "2024-10-21T10:00:00Z"),
        ("1:30", "1:30"),
        ("on", "on"),
        ("Off", "Off"),
        ("yes", "yes"),
        ("n", "n"),
        ("0x1F", "0x1F"),
        ("007", "007"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("1_000_000", 1_000_000),
        ("1.10", 1.1),
        ("1e-6", 0.000001),
        ("[1, two, {three: 3}]", [1, "two", {"three": 3}]),
    ],
)
def test_reads_values(text, value):
    """Whatever YAML 1.1 made into something surprising is text."""
    (document,) = values(f"key: {text}")

    assert document == {"key": value}
    assert type(document["key"]) is type(value)


def test_keys_are_text():
    """`on:` is not True, and a status code is not a number."""
    assert values("on: 1\n404: 2\n2024-01-01: 3\nnull: 4\n") == [{"on": 1, "404": 2, "2024-01-01": 3, "null": 4}]


def test_skips_empty_documents():
    assert values("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]


def test_anchors_and_merge_keys_work():
    """What stands in the mapping itself wins, then the first of those which are merged."""
    text = """
base: &base {model_types: [chat], region: eu}
other: &other {region: us, zone: a}
one: {<<: *base, region: local}
two: {name: b, <<: [*base, *other]}
"""
    (document,) = values(text)

    assert document["one"] == {"model_types": ["chat"], "region": "local"}
    assert document["two"] == {"name": "b", "model_types": ["chat"], "region": "eu", "zone": "a"}


def test_anchors_end_with_their_document():
    assert faults("a: &x 1\n---\nb: *x\n") == [
        Fault("a.yaml", 3, "", "an alias stands for a value, after its anchor; text which begins with * needs quotes")
    ]


def test_a_quoted_merge_sign_is_a_key():
    assert values("'<<': 1\n") == [{"<<": 1}]


def test_names_both_lines_of_a_duplicate_key():
    """PyYAML takes the last one and says nothing; here all are told at once."""
    assert faults("a: 1\nb:\n  - c: 1\n    c: 2\na: 3\n") == [
        Fault("a.yaml", 4, "b[0].c", "duplicate key; first on line 3"),
        Fault("a.yaml", 5, "a", "duplicate key; first on line 1"),
    ]


def test_in_a_list_of_manifests_paths_begin_inside_each():
    assert faults("- a: 1\n- b: {c: 1, c: 2}\n") == [Fault("a.yaml", 2, "b.c", "duplicate key; first on line 2")]


@pytest.mark.parametrize(("text", "line"), [("a: 1\n\tb: 2\n", 2), ("a: [1\nb: 2\n", 2), ("a: b: c\n", 1), ("a: '", 1)])
def test_syntax_errors_have_a_line(text, line):
    """What they say is for the parser to choose."""
    assert [fault.line for fault in faults(text)] == [line]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\n{b: 1}: 2\n", 2, "a key must be text; text which begins with { or [ needs quotes"),
        ("a: 1\nb: \x07\n", 2, "a character that is not allowed; escape it inside double quotes"),
        ("a: é\nb: \ud800\n", 2, "a character that is not allowed; escape it inside double quotes"),
        ("a: &a [*a]\n", 1, "an alias stands for a value, after its anchor; text which begins with * needs quotes"),
        ("<<: 3\n", 1, "`<<` merges a mapping or a list of mappings"),
        ("<<: [{a: 1}, 2]\n", 1, "`<<` merges a mapping or a list of mappings"),
        ("<<: {a: 1}\n<<: {b: 1}\n", 2, "a second `<<`; to merge several mappings, write `<<: [*one, *two]`"),
    ],
)
def test_says_what_is_not_allowed(text, line, message):
    (fault,) = faults(text)

    assert (fault.line, fault.message) == (line, message)


@pytest.mark.parametrize(
    "text", ["a: !!python/object/apply:os.system [ls]", "a: !secret x", "!x a: 1", "a: !!int 3", "a: !!set {b, c}"]
)
def test_refuses_tags(text):
    (fault,) = faults(text)

    assert fault.message.startswith("tags are not allowed, except !!str")


def test_refuses_an_alias_bomb():
    """A few hundred bytes which are ten million values for whoever walks through them."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]

    (fault,) = faults("\n".join(rows))

    assert (fault.line, fault.message) == (6, "more than 500,000 values, aliases written out")


def test_refuses_a_chain_of_aliases():
    """Each of them one deeper than the last: a recursive walk would not end well."""
    rows = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 300)]

    (fault,) = faults("\n".join(rows))

    assert (fault.line, fault.message) == (100, "aliases nested deeper than 100")


@pytest.mark.parametrize("opening", ["[", "{a: ", "[{a: ", "- ", "&a ["])
@pytest.mark.parametrize("depth", [101, 999, 1_001, 200_000])
def test_refuses_deep_nesting(opening, depth):
    """Composing such a text, libyaml's way, ends the process.

    Newer ones count up to a thousand themselves, and read ahead as far: `[[[` may be the beginning of a key. They were
    the first to say so then, in their own words.
    """
    (fault,) = faults("a: 1\nb:\n  " + opening * depth)

    assert (fault.line, fault.message) == (3, "nested deeper than 100")


@pytest.mark.parametrize(
    "text", ["key: *hunter2", "key: !hunter2", "key: &hunter2 {", "key: @hunter2", "key: %hunter2"]
)
def test_never_quotes_what_is_written(text):
    """A password may begin with a character that means something to YAML."""
    found = faults(text)

    assert found
    assert "hunter2" not in str(found)


def test_merged_values_keep_the_line_they_come_from():
    (document,), _ = documents("x: &x\n  a: 1\ny:\n  <<: *x\n  b: 2\n", "a.yaml")

    assert document.lines == (1, {"x": (1, {"a": 2}), "y": (3, {"a": 2, "b": 5})})


@given(st.text() | st.text(alphabet="ab:-*&!<>[]{}'\"|%@#?,.~$0 \n\t"))
def test_any_text_is_read_or_refused(text):
    """Nothing but documents and faults comes out, whatever goes in."""
    found, wrong = documents(text, "a.yaml")

    assert all(fault.file == "a.yaml" for fault in wrong)
    assert all(document.value is not None for document in found)


def test_writes_paths():
    assert steps_text(("integrations", 0, "url")) == "integrations[0].url"
    assert steps_text((0, "a")) == "[0].a"
    assert steps_text(()) == ""
