"""The gateway's own log: readable, and without secrets."""

import errno
import io
import json
import logging
import os
import uuid

import pytest
import structlog

from gateway.logs import configure_logs, redact, redact_text, redacted, traceback_text

LEAKED = "sk-abcdefghijklmno"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nq8\n-----END RSA PRIVATE KEY-----"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def log_to():
    """`log_to(stream)`: a logger of the process's configuration, which is put back afterwards."""

    def make(stream):
        configure_logs(stream)
        return structlog.get_logger(uuid.uuid4().hex)

    handlers, level = logging.root.handlers[:], logging.root.level
    yield make
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "Authorization", "proxy-authorization", "api_key", "api-key", "apiKey", "x-api-key", "token",
        "admin_token", "client_secret", "password", "pepper", "cookie", "set-cookie",
    ],
)  # fmt: skip
def test_masks_a_field_by_its_name(name):
    """A key of a vendor nobody has heard of looks like nothing; its field gives it away."""
    assert redact(None, "", {name: "0123456789"}) == {name: "***"}


@pytest.mark.parametrize("name", ["model", "input_tokens", "max_tokens", "event", "path"])
def test_leaves_other_names_alone(name):
    assert redact(None, "", {name: 7}) == {name: 7}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key sk-proj-abcDEF0123456789_xyz was refused", "key *** was refused"),
        ("sk-ant-api03-abcdefghijklmnop", "***"),
        ("sk-or-v1-0123456789abcdef0123", "***"),
        ("gsk_0123456789abcdefghij", "***"),
        ("xai-0123456789abcdefghij", "***"),
        ("pplx-0123456789abcdefghij", "***"),
        ("csk-0123456789abcdefghij", "***"),
        ("hf_0123456789abcdefghij", "***"),
        ("nvapi-0123456789abcdefghij", "***"),
        ("dapi0123456789abcdef0123456789abcdef", "***"),
        ("gw-0123456789abcdefghij", "***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "***"),
        ("Authorization: Bearer 0123456789", "Authorization: Bearer ***"),
        ("authorization: bearer 0123456789", "authorization: bearer ***"),
        ("realtime, openai-insecure-api-key.0123456789, x", "realtime, openai-insecure-api-key.***, x"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end", "jwt *** end"),
        (f"before {PEM} after", "before *** after"),
        (PEM[:40], "***"),
        ("https://ana:hunter2@db.example/x", "https://***@db.example/x"),
        ("GET /v1?key=0123456789&alt=sse", "GET /v1?key=***&alt=sse"),
    ],
)
def test_masks_what_looks_like_a_secret(text, masked):
    """Providers repeat keys in their error messages."""
    assert redact_text(text) == masked


@pytest.mark.parametrize(
    ("secret", "seen"),
    [
        ("sk-abcdefghijklmno", ""),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", ""),
        ("AKIAIOSFODNN7EXAMPLE", ""),
        (PEM, ""),
        ("https://ana:hunter2@db.example/x", "https://"),
        ("Bearer 0123456789", "Bearer "),
    ],
)
def test_a_secret_that_is_cut_off_is_masked_all_the_same(secret, seen):
    """Cut first, it is no longer known for what it is, and its beginning was shown."""
    for shown in range(len(seen) + 4, len(secret)):
        assert redact_text("x " + secret + " " + 5000 * "x", 2 + shown).startswith(f"x {seen}***")
    assert redact_text("x " + secret, None).startswith(f"x {seen}***")


def test_of_a_large_value_the_beginning_is_shown():
    """A provider's error may have 256 KiB of anything: 64 kB of "-eyJ" took 3 s to look through."""
    shown = redacted({"message": 300_000 * "x", "more": "y"})
    many = redacted([{} for _ in range(100_000)])
    names = redacted({number * "n": "sk-abcdefghijklmno" for number in range(2000)})

    assert shown == {"message": (32 * 1024 - 32) * "x" + "..."}
    assert many == [{}] * 2047
    assert len(str(names)) < 2_000_000
    assert "sk-" not in str(names)


def test_of_a_deep_value_too():
    """It came from a provider, and is not worth a traceback."""
    deep = []
    for _ in range(900):
        deep = [deep]

    assert str(redacted(deep)) == 64 * "[" + "'...'" + 64 * "]"


@pytest.mark.parametrize(
    "text",
    [
        "no model named 'openai/gpt-5'",
        "ask-me-anything",
        "skip-connections",
        "risk-free",
        "https://host:8000/v1",
        "pk-1",
    ],
)
def test_leaves_ordinary_text_alone(text):
    assert redact_text(text) == text


def test_masks_inside_of_what_is_nested():
    event = {
        "a": [{"headers": {"authorization": "x"}}, ("Bearer 0123456789", 1)],
        "b": {"c": {"d": "sk-abcdefghijklmno"}},
    }

    assert redact(None, "", event) == {
        "a": [{"headers": {"authorization": "***"}}, ["Bearer ***", 1]],
        "b": {"c": {"d": "***"}},
    }


def test_masks_what_a_renderer_would_write_with_repr():
    """Bytes, exceptions and objects reach the log as their repr."""
    event = {"body": b"Bearer 0123456789", "error": ValueError("sk-abcdefghijklmno"), "set": {"sk-abcdefghijklmno"}}

    assert redact(None, "", event) == {"body": "b'Bearer ***'", "error": "ValueError('***')", "set": "{'***'}"}


def test_takes_names_that_are_no_text():
    """A count by status code is a mapping with integers for names."""
    assert redact(None, "", {"by_status": {200: 7, 503: 1}}) == {"by_status": {200: 7, 503: 1}}


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "text", [], {}])
def test_keeps_the_type_of_plain_values(value):
    assert redact(None, "", {"value": value}) == {"value": value}


def test_a_traceback_shows_no_values_of_variables():
    """Frames hold bodies, headers and keys."""
    key = "-".join(("plain", "canary"))
    try:
        raise ValueError(f"told {LEAKED}", len(key))
    except ValueError:
        text = traceback_text()

    assert text.endswith("ValueError: ('told ***', 12)\n")
    assert "in test_a_traceback_shows_no_values_of_variables" in text
    assert "plain-canary" not in text


def test_writes_one_json_object_a_line_when_nobody_looks(log_to):
    stream = io.StringIO()

    log_to(stream).warning("target rests", target="a/b", failures=3, key="sk-abcdefghijklmno")

    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "target rests", "level": "warning", "target": "a/b", "failures": 3, "key": "***"}


def test_writes_text_in_a_terminal(log_to):
    terminal = Terminal()

    log_to(terminal).warning("target rests", api_key="0123456789")

    assert "target rests" in terminal.getvalue()
    assert "0123456789" not in terminal.getvalue()


@pytest.mark.parametrize("stream_type", [io.StringIO, Terminal])
def test_masks_exceptions_that_others_log(log_to, stream_type):
    """A plugin may log with `exc_info`; in a terminal the text of the exception went out as it was."""
    stream = stream_type()
    try:
        raise ValueError(f"told {LEAKED}")
    except ValueError:
        log_to(stream).exception("failed")

    assert "ValueError: told ***" in stream.getvalue()
    assert LEAKED not in stream.getvalue()


def test_what_libraries_log_is_in_the_same_log_and_masked(log_to):
    """A server that prints a traceback to standard error would go past the masking."""
    stream = io.StringIO()
    log_to(stream)

    try:
        raise ValueError(f"bad key {LEAKED}")
    except ValueError:
        logging.getLogger("some.server").exception("refused %s", LEAKED)

    line = json.loads(stream.getvalue())
    assert (line["level"], line["event"], line["logger"]) == ("error", "refused ***", "some.server")
    assert line["traceback"].endswith("ValueError: bad key ***\n")


class FullDisk(io.StringIO):
    def flush(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_log_that_takes_nothing_stops_nobody(log_to):
    """On a full disk, what followed the database ended with the first line that could not be written."""
    log = log_to(FullDisk())

    log.error("database not read")
    logging.getLogger("server").error("nor is this")
