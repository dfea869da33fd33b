"""What stands in the input file of a batch, and what is wrong with it."""

import pytest

from gateway.batches.lines import MAX_LINE_BYTES, Splitter, Validation, answer
from gateway.contract.batches import BatchProblem

CHAT = "/v1/chat/completions"


def problems(*lines):
    validation = Validation(CHAT)
    validation.look(lines)
    return validation.end()


def test_lines_however_they_are_cut():
    data = b'{"a":1}\n\n  {"b":2} \r\n{"c":3}'
    for cut in range(len(data)):
        splitter = Splitter()
        found = [*splitter.feed(data[:cut]), *splitter.feed(data[cut:]), *splitter.end()]
        assert found == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_a_line_without_an_end_is_not_kept_whole():
    """200 MB of it would be in memory, and each piece would be copied with all before it."""
    splitter = Splitter()
    for _ in range(1000):
        assert splitter.feed(bytes(256 * 1024)) == []
    (line,) = splitter.feed(b"x\n")
    assert MAX_LINE_BYTES < len(line) < MAX_LINE_BYTES + 512 * 1024


def test_good_lines():
    assert problems(b'{"custom_id":"1","method":"POST","url":"%b","body":{}}' % CHAT.encode()) == ()
    assert problems(b'{"custom_id":"1","body":{}}', b'{"custom_id":"2","body":{"stream":false}}') == ()


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        (b"no json", "invalid_json_line", None),
        (b"[]", "invalid_json_line", None),
        (b'{"custom_id":"1"}', "invalid_json_line", None),
        (b'{"custom_id":7,"body":{}}', "invalid_json_line", None),
        (b'{"custom_id":"1","body":[]}', "invalid_json_line", None),
        (b'{"custom_id":"\xff","body":{}}', "invalid_json_line", None),
        (b"[" * 100_000, "invalid_json_line", None),
        (b'{"custom_id":"","body":{}}', "invalid_custom_id", "custom_id"),
        (b'{"custom_id":"first","body":{}}', "duplicate_custom_id", "custom_id"),
        (b'{"custom_id":"1","method":"GET","body":{}}', "invalid_method", "method"),
        (b'{"custom_id":"1","url":"/v1/embeddings","body":{}}', "mismatched_url", "url"),
        (b'{"custom_id":"1","body":{"stream":true}}', "invalid_request", "body.stream"),
        (b'{"custom_id":"1","body":{"stream":"yes"}}', "invalid_request", "body.stream"),
        (b'{"custom_id":"1","body":{"model":"m","Model":"other"}}', "invalid_request", "body.model"),
        (b'{"custom_id":"1","body":{"Max_Tokens":9000}}', "invalid_request", "body.max_tokens"),
    ],
)
def test_bad_lines(line, code, param):
    (problem,) = problems(b'{"custom_id":"first","body":{}}', line)

    assert (problem.code, problem.line, problem.param) == (code, 2, param)


def test_an_empty_file():
    assert problems() == (BatchProblem("empty_file", "the input file holds no requests"),)


def test_not_all_problems_are_told():
    assert len(problems(*50 * [b"no json"])) == 20


def test_an_answer_is_one_line():
    assert answer("batch_req_1", "a", error={"code": "c", "message": "two\nlines"}) == (
        b'{"id":"batch_req_1","custom_id":"a","response":null,"error":{"code":"c","message":"two\\nlines"}}\n'
    )
