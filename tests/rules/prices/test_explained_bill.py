"""A bill that people can check with a pocket calculator."""

import msgspec

from gateway.contract.price import Bill, BillLine
from gateway.rules.prices import explained


def test_says_which_row_which_classes_and_which_sum():
    bill = Bill(
        cost=1_512_500,
        row="openai/gpt-4o",
        version="genai-prices 0.2.3",
        lines=(
            BillLine("input", 93, 2_500_000_000, 1_000_000, 232_500),
            BillLine("cache_read", 1024, 1_250_000_000, 1_000_000, 1_280_000),
        ),
    )

    assert (
        msgspec.json.format(msgspec.json.encode(explained(bill))).decode()
        == """{
  "row": "openai/gpt-4o",
  "version": "genai-prices 0.2.3",
  "tariff": "",
  "discount_percent": 0.0,
  "lines": [
    {
      "name": "input",
      "sum": "93 x $2.5 / 1000000 = $0.0002325"
    },
    {
      "name": "cache_read",
      "sum": "1024 x $1.25 / 1000000 = $0.00128"
    }
  ],
  "unpriced": [],
  "cost_usd": "0.0015125"
}"""
    )


def test_says_what_was_taken_off_and_what_is_missing():
    bill = Bill(
        cost=0,
        row="mine/model",
        version="private",
        lines=(BillLine("input", 10**12, 600_000_000_000, 1_000_000, 480_000_000_000_000_000),),
        discount_percent=20.0,
        tariff="above 200000 input tokens",
        unpriced=("audio_seconds",),
    )

    explanation = explained(bill)

    assert explanation.lines[0].sum == "1000000000000 x $600 / 1000000 - 20 % = $480000000"
    assert explanation.tariff == "above 200000 input tokens"
    assert explanation.unpriced == ("audio_seconds",)
    assert explanation.cost_usd == "0"
