import pytest

from gateway.cli.difference import coloured, difference

NAMES = {"old_name": "main (version 1)", "new_name": "main (new)"}


def test_what_changed():
    old = {"type": "t", "name": "main", "integrations": [{"name": "small", "id": "1"}]}
    new = {"type": "t", "name": "main", "integrations": [{"name": "small", "id": "2"}], "tags": []}

    assert difference(old, new, **NAMES) == [
        "--- main (version 1)",
        "+++ main (new)",
        "@@ -2,4 +2,5 @@",
        " name: main",
        " integrations:",
        " - name: small",
        "-  id: '1'",
        "+  id: '2'",
        "+tags: []",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "a": 1}),
        ({"l": [{"a": 1, "b": 2}]}, {"l": [{"b": 2, "a": 1}]}),
    ],
)
def test_the_order_of_keys_means_nothing(old, new):
    assert difference(old, new, **NAMES) == []


def test_items_of_lists_are_known_by_their_name():
    """Else one more at the beginning would have each of the others compared with its neighbour."""
    old = {"l": [{"id": 1, "name": "b"}]}
    new = {"l": [{"name": "a", "id": 0}, {"name": "b", "id": 1}]}

    assert difference(old, new, **NAMES)[3:] == [" l:", "+- name: a", "+  id: 0", " - name: b", "   id: 1"]


def test_order_of_the_new_one():
    assert difference(None, {"type": "t", "name": "main", "b": 1, "a": 2}, **NAMES)[3:] == [
        "+type: t",
        "+name: main",
        "+b: 1",
        "+a: 2",
    ]


def test_what_is_gone():
    assert difference({"type": "t"}, None, **NAMES)[3:] == ["-type: t"]


def test_text_of_several_lines_is_compared_line_by_line():
    assert difference({"pem": "one\ntwo\n"}, {"pem": "one\nthree\n"}, **NAMES)[3:] == [
        " pem: |",
        "   one",
        "-  two",
        "+  three",
    ]


def test_long_text_is_one_line():
    assert len(difference(None, {"text": "word " * 100 + "end"}, **NAMES)) == 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r'+text: "\e]0;title\a"'),
        ("\x9b2J", r'+text: "\x9B2J"'),
        ("a\u202eb", r"+text: a\u202eb"),
        ("名前", "+text: 名前"),
    ],
)
def test_a_manifest_cannot_drive_the_terminal(text, shown):
    assert difference(None, {"text": text}, **NAMES)[3:] == [shown]


def test_nor_can_a_line_pass_for_another():
    """Only what the difference itself begins stands at the beginning of a line."""
    lines = difference({}, {"text": "x\n+type: y\x85+z\u2028+z"}, **NAMES)

    assert [line[:1] for line in lines[3:]] == ["-", *"+" * (len(lines) - 4)]
    assert not any(char in "".join(lines) for char in "\x85\u2028")


def test_colours():
    lines = ["--- a", "+++ b", "@@ -1 +1 @@", " same", "--- gone", "+++ new"]

    assert list(coloured(lines)) == [
        "\x1b[1m--- a\x1b[0m",
        "\x1b[1m+++ b\x1b[0m",
        "\x1b[36m@@ -1 +1 @@\x1b[0m",
        " same",
        "\x1b[31m--- gone\x1b[0m",
        "\x1b[32m+++ new\x1b[0m",
    ]
