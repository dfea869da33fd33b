"""Which files a body names, however it is written."""

import json

import pytest

from gateway.contract import FormBody, FormPart
from gateway.errors import BadRequest
from gateway.wire.file_references import files_in, files_in_form, may_refer

CHAT = {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-a"}}]}]}
INPUT = {"input": [{"content": [{"type": "input_file", "file_id": "file-b"}]}], "tools": [{"file_ids": ["c", "d"]}]}
ESCAPED = rb'{"messages":[{"content":[{"file":{"\u0066ile_id":"file-\u0061"}}]}]}'


@pytest.mark.parametrize(
    ("body", "files"),
    [
        (json.dumps(CHAT).encode(), ["file-a"]),
        (json.dumps(INPUT).encode(), ["file-b", "c", "d"]),
        (ESCAPED, ["file-a"]),
        (b'{"file_id":null,"file_ids":"x","messages":[{"file_id":7},{"file_ids":[1,"e",null,"e"]}]}', ["e"]),
        (b'{"messages":[{"content":"what is a file_id?"}]}', []),
        (rb'{"content":"{\"file_id\":\"file-a\"}","b":"\\u0066ile_id"}', []),
        (
            b'{"a":[{"file_id":"theirs","file_id":"mine"},{"file_ids":["x"],"file_ids":["y"]}]}',
            ["theirs", "mine", "x", "y"],
        ),
        (rb'{"file\u005Fid" : "theirs", "file_id":"mine"}', ["theirs", "mine"]),
        (b'{"file_ids":[]}', []),
        (b'{"file_ids" :\n[ null, "a" , "b"], "c": "d"}', ["a", "b"]),
    ],
)
def test_files_are_found_wherever_they_are_named(body, files):
    assert may_refer(body)
    assert files_in(body) == files


@pytest.mark.parametrize("body", [b'{"model":"m"}', rb'{"content":"caf\u00e9 \u2028"}'])
def test_other_bodies_are_not_read_again(body):
    assert not may_refer(body)


def test_too_many_are_refused():
    with pytest.raises(BadRequest, match="more than 100 files"):
        files_in(json.dumps({"x": [{"file_id": str(number)} for number in range(101)]}).encode())


def test_depth_is_no_trouble():
    assert files_in(b"[" * 100_000 + b'{"file_id":"a"}' + b"]" * 100_000) == ["a"]


def test_an_id_that_is_no_text_is_refused():
    with pytest.raises(BadRequest, match="no valid text"):
        files_in(rb'{"file_id":"\ud800"}')


def test_files_are_found_in_forms():
    parts = [
        FormPart("file_id", b"file-a"),
        FormPart("file_ids[]", b'["file-b", "file-a"]'),
        FormPart("file_id", b"no id", "a.txt"),
        FormPart("prompt", b"file-c"),
    ]

    assert files_in_form(FormBody(tuple(parts))) == ["file-a", "file-b"]


def test_a_form_names_only_so_many():
    with pytest.raises(BadRequest, match="more than 100 files"):
        files_in_form(FormBody((FormPart("file_ids", ",".join(map(str, range(101))).encode()),)))
