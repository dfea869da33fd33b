"""How hard a request seems to be."""

import pytest

from gateway.rules.routing import Complexity, classify

HANDLER = """\
Why does this handler leak connections?

```python
async def fetch(session, url):
    response = await session.get(url)
    return await response.json()
```"""

TRACE = """\
My service dies with this, can you debug it?
Traceback (most recent call last):
  File "app.py", line 12, in main
    total = sum(row["price"] for row in rows)
KeyError: 'price'"""

LETTER = "Dear team, thank you for the offer. We have read it with care and would like to meet next week. " * 8

CONTRACT = "The supplier shall deliver the goods within thirty days of the order, free of defects and charges. " * 60

SIMPLE = [
    ("Hi!", "routine"),
    ("", ""),
    ("thanks, that helped", "routine"),
    ("What is the capital of Australia?", "routine"),
    ("Translate 'good morning' into French.", "routine"),
    ("Who wrote Middlemarch?", "routine"),
    ("Please list three synonyms for happy.", "routine"),
    ("Could you rephrase this so that it sounds friendlier: send me the file now", "routine"),
    ("Classify the sentiment of: 'The battery died after two days.'", "routine"),
    ("Extract the invoice number from: Invoice INV-2041, due 3 May.", "routine"),
    ("Why is the sky blue?", "reasoning"),
    ("Suggest a name for my new cat, she is grey and shy.", ""),
    ("Is it safe to eat raw cookie dough?", ""),
    ("How do I import wine into Norway?", ""),
    ("Summarise this letter in one sentence.\n\n" + LETTER, "long, routine"),
]
MEDIUM = [
    (HANDLER, "code, reasoning"),
    ("Write a SQL query: SELECT the ten customers with the highest revenue per region", "code"),
    ("Rename the variables in this:\n```js\nconst a = () => { b(); };\n```", "code"),
    (TRACE, "code, reasoning"),
    ("Solve the equation 3x + 5 = 20 and find all integers below x.", "maths"),
    (r"What does $\frac{dy}{dx}$ mean?", "maths"),
    ("Compare Postgres and MySQL for a small shop, and justify a choice.", "reasoning"),
    ("Plan a migration from Jenkins to GitHub Actions.", "reasoning"),
    ("Does this contract let us cancel?\n\n" + CONTRACT, "long"),
    ("I have three questions. What is GDPR? Does it apply to us? Why does consent matter here?", "reasoning, steps"),
]
COMPLEX = [
    (
        "Prove that there are infinitely many primes, and derive a bound on the probability of a prime.",
        "maths, reasoning",
    ),
    (
        "Design a distributed rate limiter for 50 regions; evaluate the trade-offs between accuracy and latency.",
        "reasoning",
    ),
    (
        "Refactor this and optimise its complexity:\n```python\ndef f(x):\n    return f(x - 1) + f(x - 2)\n```",
        "code, reasoning",
    ),
    (
        "Diagnose the deadlock, explain why it happens and propose a strategy:\n```go\nfunc main() { mu.Lock(); }\n```",
        "code, reasoning",
    ),
    ("Let $$\\int_0^1 f(x) dx = 0$$. Analyse when f has a zero, and prove it.", "maths, reasoning"),
    (
        "Review the contract below. Assess the implications of each clause for us:\n- delivery\n- defects\n- charges\n"
        + CONTRACT,
        "long, reasoning, steps",
    ),
]


@pytest.mark.parametrize(("text", "cause"), SIMPLE)
def test_simple(text, cause):
    assert (classify(text).tier, classify(text).cause) == ("simple", cause)


@pytest.mark.parametrize(("text", "cause"), MEDIUM)
def test_medium(text, cause):
    assert (classify(text).tier, classify(text).cause) == ("medium", cause)


@pytest.mark.parametrize(("text", "cause"), COMPLEX)
def test_complex(text, cause):
    assert (classify(text).tier, classify(text).cause) == ("complex", cause)


@pytest.mark.parametrize(
    ("turns", "tools", "expected"),
    [
        (5, 0, Complexity("simple", 0, "")),
        (6, 0, Complexity("simple", 1, "turns")),
        (16, 0, Complexity("medium", 2, "turns")),
        (1, 1, Complexity("simple", 1, "tools")),
        (6, 5, Complexity("medium", 3, "turns, tools")),
        (16, 5, Complexity("complex", 4, "turns, tools")),
    ],
)
def test_a_long_conversation_or_many_tools_need_more(turns, tools, expected):
    assert classify("and then?", turns=turns, tools=tools) == expected


@pytest.mark.parametrize(
    ("chars", "points"), [(599, 0), (600, 1), (3_999, 1), (4_000, 2), (19_999, 2), (20_000, 3), (1_000_000, 3)]
)
def test_length_alone(chars, points):
    assert classify("x" * chars).points == points


def test_of_a_very_long_text_both_ends_are_read():
    """The question stands before or after what is pasted. The middle is not looked at: a megabyte takes no longer."""
    pasted = "lorem ipsum " * 80_000

    assert classify("Prove it.\n" + pasted).cause == "long, reasoning"
    assert classify(pasted + "\nProve it.").cause == "long, reasoning"
    assert classify(pasted + "\nProve it.\n" + pasted).cause == "long"
