"""Requests as dialects see them, and answers that are read whole."""

import msgspec
import pytest

from gateway.contract import Call, FormBody, FormPart, Head, JsonBody, Request


@pytest.fixture(scope="session")
def asked():
    """`asked(dialect, model="a/m")`: the ask of a JSON body. `files`: it is a form, and these are the files in it."""

    def asked(dialect, *, files=None, **fields):
        return dialect.parse(Request(body=body_of(fields, files)))

    return asked


@pytest.fixture(scope="session")
def used():
    """`used(dialect, body, size=...)`: what the reading of an answer says, which comes in pieces of that size."""

    def used(dialect, data, *, size=1000, content_type="application/json", is_stream=False, files=None, **fields):
        request = Request(body=body_of({"model": "a/m", **fields}, files))
        call = Call(dialect=dialect, ask=dialect.parse(request), request=request)
        reading = dialect.reading(call, Head(200, {"content-type": content_type}, is_stream=is_stream))
        out = b"".join(reading.feed(data[begin : begin + size]) for begin in range(0, len(data), size)) + reading.end()
        assert (out, reading.is_complete(), reading.told_error()) == (data, True, None)
        return reading.usage()

    return used


def body_of(fields, files):
    if files is None:
        data = msgspec.json.encode(fields)
        return JsonBody(msgspec.json.decode(data, type=dict[str, msgspec.Raw]), data)
    texts = [FormPart(name, str(value).encode()) for name, value in fields.items()]
    return FormBody((*texts, *(FormPart("file", data, "a") for data in files)))
