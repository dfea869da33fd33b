"""Errors are what callers and programs see when something goes wrong."""

import ast
from pathlib import Path

import pytest

import gateway
from gateway import errors
from gateway.errors import ConfigError, Fault, GatewayError, MethodNotAllowed, RateLimited, Refused, UnknownModel
from gateway.logs import redact_text


def every(kind):
    return [kind, *(inner for outer in kind.__subclasses__() for inner in every(outer))]


CONSTRUCTORS = {
    MethodNotAllowed: lambda: MethodNotAllowed(["GET"]),
    UnknownModel: lambda: UnknownModel("m", []),
    Refused: lambda: Refused("said no", status=429),
}


@pytest.mark.parametrize("kind", every(GatewayError))
def test_every_error_has_what_programs_look_at(kind):
    error = CONSTRUCTORS.get(kind, lambda: kind("happened"))()

    assert 400 <= error.status <= 599
    assert isinstance(error.type, str)
    assert error.code is None or " " not in error.code


def test_the_tree_in_the_docstring_has_every_error():
    named = {line.split("── ")[1].split()[0] for line in errors.__doc__.splitlines() if "── " in line}

    assert named == {kind.__name__ for root in (GatewayError, ConfigError) for kind in every(root)[1:]}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.BadRequest, 400),
        (errors.Unauthorized, 401),
        (errors.Forbidden, 403),
        (errors.NotFound, 404),
        (errors.TooLarge, 413),
        (errors.RateLimited, 429),
        (errors.ClientLeft, 499),
        (errors.Unexpected, 500),
        (errors.Unreachable, 502),
        (errors.BrokeOff, 502),
        (errors.Overloaded, 503),
        (errors.Stopping, 503),
        (errors.TimedOut, 408),
    ],
)
def test_status_is_what_the_documentation_says(kind, status):
    assert kind.status == status


def test_one_code_can_be_given_for_one_case():
    assert RateLimited("slow down", code="tokens_per_day").code == "tokens_per_day"
    assert RateLimited("slow down").code == "rate_limit_exceeded"


def test_unknown_model_lists_what_the_caller_may_use():
    error = UnknownModel("gpt-5", ["a/x", "a/y"])

    assert error.message == "no model named 'gpt-5'; you may use: a/x, a/y"
    assert error.param == "model"


def test_unknown_model_shortens_a_long_list():
    """2,000 names in each error would cost more than the request."""
    error = UnknownModel("m", [f"a/{n}" for n in range(50)])

    assert error.message.endswith("a/18, a/19 and 30 more (GET /models)")


def test_unknown_model_repeats_no_more_than_a_name():
    assert len(UnknownModel("m" * 10_000, []).message) < 300


def test_a_fault_says_where():
    assert str(Fault("a.yaml", 3, "integrations[0].url", "must be a URL")) == (
        "a.yaml:3: integrations[0].url: must be a URL"
    )
    assert str(Fault("a.yaml", 0, "", "cannot be read")) == "a.yaml: cannot be read"


def test_a_config_error_has_every_fault():
    faults = [Fault("a.yaml", 1, "x", "wrong"), Fault("b.yaml", 2, "y", "worse")]

    assert str(ConfigError(faults)) == "a.yaml:1: x: wrong\nb.yaml:2: y: worse"
    assert ConfigError(faults).faults == tuple(faults)


def messages():
    """What is raised in the package with a text of its own; what is filled in is `x`."""
    for path in Path(gateway.__file__).parent.rglob("*.py"):
        raised = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)]
        for node in (inner for statement in raised for inner in ast.walk(statement)):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_messages_are_readable_when_secrets_are_masked():
    """Who had no token was told to send it as `Bearer ***`: what looked like one in the example was masked."""
    assert [text for text in messages() if redact_text(text) != text] == []
