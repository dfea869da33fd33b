"""Moderation."""

import json

from gateway.dialects import MODERATIONS


def test_what_is_judged_is_input(asked):
    ask = asked(MODERATIONS, model="a/m", input=40 * "word")

    assert (ask.model, ask.input_tokens, ask.has_output, ask.stream) == ("a/m", 40, False, False)


def test_answers_pass(used):
    """None of them says what was used."""
    answer = {"id": "modr-1", "model": "m", "results": [{"flagged": True, "categories": {}, "category_scores": {}}]}

    assert used(MODERATIONS, json.dumps(answer).encode(), input="x") is None
