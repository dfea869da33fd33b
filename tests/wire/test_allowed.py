"""A value that is none of those a field may have: the refusal lists them."""

from enum import Enum
from typing import Literal

import msgspec
import pytest

from gateway.wire.allowed import why_not


class Hook(Enum):
    BEFORE = "before"
    AFTER = "after"


class Rule(msgspec.Struct, rename="camel"):
    operator_name: Literal["IN", "NOT_IN"] = "IN"


class Body(msgspec.Struct):
    kind: Literal["a", "b"] | None = None
    hook: Hook = Hook.BEFORE
    rules: tuple[Rule, ...] = ()
    several: list[Literal[1, 2]] = []
    named: dict[str, Rule | None] = {}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"kind":"c"}', "Invalid enum value 'c' - at `$.kind`; it has to be one of: a, b"),
        (b'{"hook":"now"}', "Invalid enum value 'now' - at `$.hook`; it has to be one of: before, after"),
        (
            b'{"rules":[{},{"operatorName":"LIKE"}]}',
            "Invalid enum value 'LIKE' - at `$.rules[1].operatorName`; it has to be one of: IN, NOT_IN",
        ),
        (b'{"several":[3]}', "Invalid enum value 3 - at `$.several[0]`; it has to be one of: 1, 2"),
        (
            b'{"named":{"a.b":{"operatorName":"`$.kind`\\n"}}}',
            "Invalid enum value '`$.kind`\\n' - at `$.named[...].operatorName`; it has to be one of: IN, NOT_IN",
        ),
        (b'{"kind":5}', "Expected `str | null`, got `int` - at `$.kind`"),
        (b"{", "Input data was truncated"),
    ],
)
def test_says_which_values_there_are(body, why):
    with pytest.raises(msgspec.DecodeError) as refused:
        msgspec.json.decode(body, type=Body)

    assert why_not(refused.value, Body) == why
