"""What `gateway usage` asks, and how it shows the answers."""

import pytest

USED = {
    "inputTokens": 280,
    "outputTokens": 9,
    "cost": 0.000000111,
    "costNanoUsd": 111,
    "unpriced": 1,
    "usage": {"input": 271},
}
ANA = {"group": "user:ana@example.com", "requests": 4, **USED}
APP = {"group": "virtualaccount:app", "requests": 1, **USED, "costNanoUsd": 2_345_000_000, "unpriced": 0}
TOTAL = {"group": "", "requests": 5, **USED, "costNanoUsd": 2_345_000_111}
REPORT = {
    "data": [APP, ANA],
    "total": TOTAL,
    "by": "subject",
    "since": "2026-01-01",
    "until": "2026-01-02",
    "who": None,
}
MONTH = {
    "rule": "each",
    "policy": "tenant-budget-config|each",
    "isBudget": True,
    "mode": "audit",
    "scope": "user:ana@example.com",
    "unit": "cost_per_month",
    "limit": 10,
    "used": 2.5,
    "percentage": 25.0,
    "start": 1767225600,
    "end": 1769904000,
    "limitNanoUsd": 10_000_000_000,
    "usedNanoUsd": 2_500_000_000,
    "target": None,
}
MINUTE = {
    **MONTH,
    "rule": "rate",
    "isBudget": False,
    "mode": "enforce",
    "unit": "requests_per_minute",
    "limit": 500,
    "used": 1,
    "percentage": 0.2,
    "limitNanoUsd": None,
    "usedNanoUsd": None,
}
OPEN = {**MONTH, "scope": "model:*", "unit": "cost_per_lifetime", "end": 32503680000, "used": None}
OPEN |= {"usedNanoUsd": None, "percentage": None}
BILL = {
    "cost": 0.0002325,
    "costNanoUsd": 232_500,
    "priceRow": "openai/gpt-4o",
    "priceVersion": "genai-prices 0.2.3",
    "tariff": "",
    "discountPercent": 0.0,
    "lines": [
        {
            "name": "input",
            "amount": 93,
            "rate": 2.5,
            "per": 1_000_000,
            "cost": 0.0002325,
            "costNanoUsd": 232_500,
            "sum": "93 x $2.5 / 1000000 = $0.0002325",
        }
    ],
    "unpriced": ["audio_input"],
}
REQUEST = {
    "requestId": "r1",
    "at": "2026-01-01T00:00:00Z",
    "subject": "user:ana@example.com",
    "teams": [],
    "tokenId": None,
    "model": "prod/chat",
    "resolvedModel": "main/small",
    "metadata": {},
    "outcome": "complete",
    "usage": {"input": 93},
    "bill": BILL,
}


def test_report(cli, control):
    control.answer(REPORT)

    result = cli("usage", "--by", "subject", "--since", "2026-01-01", "--until", "2026-01-02")

    assert result.output.splitlines() == [
        "SUBJECT               REQUESTS  INPUT TOKENS  OUTPUT TOKENS  COST          UNPRICED",
        "virtualaccount:app    1         280           9              $2.35         0",
        "user:ana@example.com  4         280           9              $0.000000111  1",
        "total                 5         280           9              $2.35         1",
    ]
    assert control.requests == [
        ("GET", "/llm-gateway/usage?by=subject&since=2026-01-01&until=2026-01-02", None),
    ]


@pytest.mark.parametrize("arguments", [[], ["report"]])
def test_report_without_options(cli, control, arguments):
    """The month so far, by model: the gateway knows what day it is."""
    control.answer({**REPORT, "data": []})

    result = cli("usage", *arguments)

    assert (result.stdout, result.stderr) == ("", "nothing was used\n")
    assert control.requests == [("GET", "/llm-gateway/usage?by=model", None)]


def test_report_by_team_has_no_total(cli, control):
    """Some are in two teams."""
    control.answer({**REPORT, "data": [{**ANA, "group": "team:red"}], "total": None})

    result = cli("usage", "--by", "team", "--who", "team:red")

    assert [line.split()[0] for line in result.output.splitlines()] == ["TEAM", "team:red"]
    assert control.requests == [("GET", "/llm-gateway/usage?by=team&who=team%3Ared", None)]


def test_report_as_json(cli, control):
    """All of the answer, as it is."""
    control.answer({"data": [], "total": None, "by": "model"})

    assert cli("usage", "--json").stdout == '{\n  "data": [],\n  "total": null,\n  "by": "model"\n}\n'


def test_report_is_refused(cli, control):
    control.answer({"error": {"message": "usage is grouped by one of: subject, team"}}, 400)

    result = cli("usage", "--by", "weather")

    assert result.stderr == "Error: usage is grouped by one of: subject, team\n"
    assert result.exit_code == 1


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_the_commands(cli, flag):
    """It is that of the group, though a word that is missing means `report`."""
    result = cli("usage", flag)

    listed = result.output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == ["budgets", "explain", "leaderboard", "mine", "report"]


def test_mine(cli, control):
    """What slides never resets at one moment; a lifetime never ends."""
    control.answer({"data": [MINUTE, MONTH, OPEN], "source": "counters"})

    result = cli("usage", "mine")

    assert result.output.splitlines() == [
        "RULE  FOR                   UNIT                 USED   LIMIT   %    MODE     RESETS",
        "rate  user:ana@example.com  requests_per_minute  1      500     0.2  enforce  -",
        "each  user:ana@example.com  cost_per_month       $2.50  $10.00  25   audit    2026-02-01 00:00 UTC",
        "each  model:*               cost_per_lifetime    -      $10.00  -    audit    never",
    ]
    assert control.requests == [("GET", "/llm-gateway/budgets/my-usage", None)]


def test_mine_from_the_ledger(cli, control):
    """Numbers that may be old are called that."""
    control.answer({"data": [], "source": "ledger"})

    result = cli("usage", "mine")

    assert result.stderr.splitlines() == [
        "nothing limits you",
        "The counters cannot be reached just now, so this is what was written down before.",
    ]


def test_explain(cli, control):
    control.answer({"data": REQUEST})

    result = cli("usage", "explain", "r1")

    assert result.output.splitlines() == [
        "request      r1",
        "time         2026-01-01 00:00 UTC",
        "subject      user:ana@example.com",
        "model        prod/chat",
        "answered by  main/small",
        "outcome      complete",
        "price        openai/gpt-4o of genai-prices 0.2.3",
        "tariff       -",
        "input        93 x $2.5 / 1000000 = $0.0002325",
        "audio_input  not known: the price list has no price for it",
        "cost         $0.0002325",
    ]
    assert control.requests == [("GET", "/llm-gateway/usage/requests/r1", None)]


def test_explain_what_nobody_knows(cli, control):
    """Unknown is not free."""
    control.answer({"data": {**REQUEST, "bill": None}})

    assert cli("usage", "explain", "r1").output.splitlines()[-1] == "cost         not known: the model has no price"


def test_budgets(cli, control):
    manifest = {"team_name": "red", "mode": "enforce", "limits": {"cost_per_day": 0.00002, "cost_per_quarter": 9000000}}
    red = {"type": "team-budget-config", "name": "red-cap", "managedBy": "api", "version": 3, "manifest": manifest}
    org = {"type": "tenant-budget-config", "name": "org", "managedBy": "file:gateway.yaml:7", "version": None}
    control.answer({"data": [red, {**org, "manifest": {"mode": "audit", "limits": {"cost_per_lifetime": 5}}}]})

    result = cli("usage", "budgets")

    assert result.output.splitlines() == [
        "NAME     TEAM  MODE     LIMITS                                               MANAGED BY           VERSION",
        "red-cap  red   enforce  cost_per_day $0.00002, cost_per_quarter $9000000.00  api                  3",
        "org      -     audit    cost_per_lifetime $5.00                              file:gateway.yaml:7  -",
    ]
    assert control.requests == [("GET", "/llm-gateway/budgets", None)]


def test_leaderboard(cli, control):
    control.answer({"data": [MONTH, {**MONTH, "scope": ""}]})

    result = cli("usage", "leaderboard", "each", "--limit", "2")

    assert result.output.splitlines() == [
        "WHO                   UNIT            USED   LIMIT   %",
        "user:ana@example.com  cost_per_month  $2.50  $10.00  25",
        "all together          cost_per_month  $2.50  $10.00  25",
    ]
    assert control.requests == [("GET", "/llm-gateway/budgets/each/leaderboard?limit=2", None)]


@pytest.mark.parametrize("command", [["mine"], ["budgets"], ["leaderboard", "each"], ["explain", "r1"]])
def test_as_json(cli, control, command):
    control.answer({"data": {} if command[0] == "explain" else []})

    result = cli("usage", *command, "--json")

    assert result.exit_code == 0
    assert "".join(result.stdout.split()) in ("[]", "{}", '{"data":[]}')
