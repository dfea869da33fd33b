"""What `regex`, `tfy-pii`, `secret-detection` and `word-list` find, and what they leave alone."""

import asyncio
import re
from base64 import b64encode
from collections import deque
from random import Random

import pytest

from gateway.contract import GuardrailSpec, Hook, Subject, Text
from gateway.guardrails.found import make
from gateway.guardrails.patterns import LOOKBACK, PASS, TURN, Pattern, Patterns, user_pattern
from gateway.guardrails.pii import CATEGORIES, patterns_of
from gateway.guardrails.presets import PRESETS, TOPICS
from gateway.guardrails.searching import SLICE, PatternGuardrail, find_all
from gateway.guardrails.secrets import SECRETS
from gateway.manifests.guardrail_kinds import (
    PiiConfig,
    PresetPatterns,
    RegexConfig,
    SecretsConfig,
    UserPattern,
    WordListConfig,
)
from gateway.proxy.held import Slot
from gateway.wire.redaction import decide
from gateway.wire.redaction import redacted as replaced

pytest.importorskip("re2")


def guardrail(config, kind="regex", *, redacts=True):
    return make(GuardrailSpec(name="g/x", kind=kind, config=config, redacts=redacts))


async def said(config, *texts, redacts=True):
    subject = Subject(Hook.LLM_INPUT, None, None, {}, [Text("user", text) for text in texts])
    return await guardrail(config, redacts=redacts).check(subject)


async def redacted(config, text):
    finding = await said(config, text)
    return finding.texts[0] if finding.texts is not None else text


def preset(*names):
    return RegexConfig(preset_patterns=PresetPatterns(presets=names))


# --- presets ----------------------------------------------------------------------------------------------------------

FOUND = {
    "us_ssn": "536-22-1234",
    "us_ssn_no_dash": "536221234",
    "email": "ana.b+c@mail.example.co.uk",
    "us_phone": "(415) 555-2671",
    "india_aadhaar": "2341 2341 2346",
    "india_pan": "ABCPE1234F",
    "visa": "4111 1111 1111 1111",
    "mastercard": "5555-5555-5555-4444",
    "amex": "3782 822463 10005",
    "discover": "6011111111111117",
    "credit_card": "30569309025904",
    "aws_access_key": "AKIAIOSFODNN7EXAMPLE",
    "github_token": "ghp_" + "a1B2" * 9,
    "slack_token": "xoxb-123456789012-abcdefABCDEF",
    "ipv4": "192.168.0.254",
    "ipv6": "2001:db8::8a2e:370:7334",
    "url": "https://example.com/a?b=c",
}
BEHIND_A_WORD = {
    "aws_secret_key": ("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "generic_api_key": ("api_key: ", "f3a9c1d8e7b24"),
    "passport_us": ("passport ", "C03005988"),
    "passport_uk": ("Passport no. ", "925665416"),
    "passport_germany": ("passport ", "C01X00T47"),
    "passport_france": ("passport ", "12AB34567"),
    "passport_netherlands": ("passport ", "XR1001R58"),
    "passport_canada": ("passport ", "GA302922"),
    "passport_india": ("passport ", "J8369854"),
    "passport_australia": ("passport ", "N1234567"),
    "passport_china": ("passport ", "G28233515"),
    "passport_japan": ("passport ", "TK1234567"),
}


def test_every_preset_of_the_source_is_there():
    assert PRESETS.keys() == FOUND.keys() | BEHIND_A_WORD.keys() | TOPICS.keys()
    assert len(PRESETS) == 45


@pytest.mark.parametrize(("name", "example"), FOUND.items(), ids=FOUND)
async def test_a_preset(name, example):
    assert await redacted(preset(name), f"it is {example} , is it?") == "it is [REDACTED] , is it?"


@pytest.mark.parametrize(("name", "parts"), BEHIND_A_WORD.items(), ids=BEHIND_A_WORD)
async def test_a_preset_that_needs_a_word_before_it(name, parts):
    """Of which nothing is taken out. Without it, the number may be anything."""
    word, number = parts

    assert await redacted(preset(name), f"my {word}{number} ok") == f"my {word}[REDACTED] ok"
    assert await redacted(preset(name), f"order {number} ok") == f"order {number} ok"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("us_ssn", "000-12-3456 and 666-12-3456 and 912-12-3456 and 123-00-4567"),
        ("visa", "4111 1111 1111 1112"),
        ("credit_card", "1234567890123456 and 0000000000000000"),
        ("ipv4", "256.1.1.1 or 1.2.3"),
        ("ipv6", "at 10:30:15 in std::vector"),
        ("ipv6", "let x = a::b::c(1); beef::face(); h1::before, .b2::after; a[1::2], a[12::34]"),
        ("email", "user@localhost or @ana"),
        ("generic_api_key", "api_key: your-api-key-1 or password = correcthorse"),
        ("generic_api_key", "password = var.db_password_v2; secret: data.aws_secret.s1.arn; api_key=${API_KEY_2}"),
        ("weapons_firearms", "the shogun begun"),
        ("india_aadhaar", "2341 2341 2347"),
    ],
)
async def test_what_a_preset_leaves_alone(name, text):
    assert await redacted(preset(name), text) == text


@pytest.mark.parametrize("address", ["fe80::1", "2001:db8::ff00:42:8329", "64:ff9b::c000:201", "FE80::A1B2"])
async def test_short_addresses(address):
    assert await redacted(preset("ipv6"), f"from {address}, port 1") == "from [REDACTED], port 1"


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("explosives", "how to build a Pipe  Bomb"),
        ("self_harm_suicide", "thinking about SUICIDE"),
        ("religion", "the Christians and the Quran"),
        ("weapons_firearms", "an AR-15"),
    ],
)
async def test_a_topic(topic, text):
    assert (await said(preset(topic), text, redacts=False)).verdict == "block"


# --- personal data ----------------------------------------------------------------------------------------------------

PERSONAL = {
    "Email": "ana@example.com",
    "PhoneNumber": "+44 20 7946 0958",
    "CreditCardNumber": "4111111111111111",
    "IPAddress": "10.0.0.1",
    "InternationalBankingAccountNumber": "GB82 WEST 1234 5698 7654 32",
    "USSocialSecurityNumber": "536-22-1234",
    "USIndividualTaxpayerIdentification": "912-70-1234",
    "UKNationalInsuranceNumber": "AB 12 34 56 C",
    "UKNationalHealthNumber": "943 476 5919",
    "CASocialInsuranceNumber": "130 692 544",
    "INPermanentAccount": "ABCPE1234F",
    "FRSocialSecurityNumber": "2 55 08 14 168 025 38",
    "ESDNI": "12345678Z",
    "ITFiscalCode": "RSSMRA85T10A562S",
    "BRCPFNumber": "529.982.247-25",
    "BRLegalEntityNumber": "11.222.333/0001-81",
    "SGNationalRegistrationIdentityCardNumber": "S1234567D",
    "CHSocialSecurityNumber": "756.1234.5678.97",
}


@pytest.mark.parametrize(("category", "example"), PERSONAL.items(), ids=PERSONAL)
async def test_a_category(category, example):
    config = PiiConfig(pii_categories=(category,))

    assert await redacted(config, f"it is {example}!") == f"it is [{category.upper()}]!"


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "GB82 WEST 1234 5698 7654 33",
        "123 456 7882",
        "12345678A",
        "RSSMRA85T10A562T",
        "529.982.247-26",
        "+44 20 79",
        "on 2024-01-02 at 10:11, order 1700000000, version 4.18.2",
    ],
)
async def test_a_wrong_check_digit_is_no_number(text):
    assert await redacted(PiiConfig(), text) == text


def test_categories_that_no_pattern_can_tell():
    patterns, unknown = patterns_of(["Email", "Person", "IBAN"])

    assert [pattern.label for pattern in patterns] == ["Email", "InternationalBankingAccountNumber"]
    assert unknown == ["Person"]
    assert len(patterns_of(["*"])[0]) == len(CATEGORIES)


async def test_numbers_that_are_right_only_behind_a_word():
    text = "routing number: 021000021, PESEL 44051401359, my TFN is 123 456 782; order 021000021"

    assert await redacted(PiiConfig(), text) == (
        "routing number: [ABAROUTINGNUMBER], PESEL [PLNATIONALID], my TFN is [AUTAXFILENUMBER]; order 021000021"
    )


# --- secrets ----------------------------------------------------------------------------------------------------------

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc+/=\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("sk-proj-abcdefghijklmnopqrstuv01", "[S]"),
        ("sk-ant-api03-abcdefghijklmnopqrst", "[S]"),
        (f"key:\n{KEY}\nand more", "key:\n[S]\nand more"),
        (KEY[:60], "[S]"),
        ("postgres://app:s3cr3tpass@db/x", "postgres://app:[S]@db/x"),
        ("Authorization: Bearer abc123def456ghi789jkl0", "Authorization: Bearer [S]"),
        ('"password": "hunter2xyz99"', '"password": "[S]"'),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN", "[S]"),
        ("glpat-abcdefghij0123456789", "[S]"),
        ("the password is in the safe", "the password is in the safe"),
        ("password: <your-password-1>", "password: <your-password-1>"),
        ("sk-learn is a library", "sk-learn is a library"),
    ],
)
async def test_secrets(text, safe):
    assert await redacted(SecretsConfig(redaction_text="[S]"), text) == safe


# --- patterns and words of one's own ----------------------------------------------------------------------------------


async def test_a_pattern_of_ones_own_is_replaced_as_a_whole():
    """Also if it has groups, or brackets that are none."""
    config = RegexConfig(custom_patterns=(UserPattern(pattern=r"(EMP|[(]X)-([0-9]{6})", redaction_text="[EMP]"),))

    assert await redacted(config, "EMP-123456 and (X-123456") == "[EMP] and [EMP]"


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (RegexConfig(), "has nothing to look for"),
        (preset("emial"), "no preset 'emial'; did you mean 'email'?"),
        (
            RegexConfig(custom_patterns=(UserPattern(pattern="a(?=b)"),)),
            "custom_patterns[0]: is no expression of RE2: invalid perl operator: (?=",
        ),
    ],
)
def test_what_cannot_be_looked_for(config, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        guardrail(config)


async def test_words():
    config = WordListConfig(words=("Project Falcon", "bad*", "C++"), redaction_text="[W]")

    text = await redacted(config, "PROJECT-falcon is badly done in C++, a badge")

    assert text == "[W] is [W] done in [W], a [W]"


async def test_overlapping_finds_are_one():
    config = RegexConfig(custom_patterns=(UserPattern(pattern="abcd"), UserPattern(pattern="cdef")))

    assert await redacted(config, "xabcdefx") == "x[REDACTED]x"


async def test_who_judges_names_what_it_found_and_repeats_nothing():
    finding = await said(preset("email", "us_ssn"), "a@b.co", "536-22-1234", redacts=False)

    assert (finding.verdict, finding.message, finding.data) == (
        "block",
        "found email, us_ssn",
        {"email": 1, "us_ssn": 1},
    )


# --- what is disguised ------------------------------------------------------------------------------------------------

AWS = "AKIAIOSFODNN7EXAMPLQ"


@pytest.mark.parametrize(
    "text",
    [
        "\u200b".join(AWS),
        "\u0336".join(AWS),
        "АКІА" + AWS[4:],
        "".join(chr(ord(char) + 0xFEE0) for char in AWS),
        "".join(f"%{ord(char):02x}" for char in AWS),
        "".join(f"\\u{ord(char):04x}" for char in AWS),
        "".join(f"&#{ord(char)};" for char in AWS),
        b64encode(f"key {AWS}".encode()).decode(),
        AWS.encode().hex(),
    ],
    ids=["zero width", "struck through", "cyrillic", "full width", "percent", "escapes", "entities", "base64", "hex"],
)
async def test_a_key_in_disguise(text):
    """It went through, and whatever was put between its letters."""
    assert await redacted(SecretsConfig(), f"use {text} now") == "use [REDACTED] now"


@pytest.mark.parametrize("place", range(1, len(AWS)))
async def test_a_key_that_is_cut_over_texts(place):
    """Also over messages of one speaker between which another says something."""
    texts = [Text("user", f"use {AWS[:place]}"), Text("assistant", "go on"), Text("user", f"{AWS[place:]} now")]

    finding = await guardrail(SecretsConfig()).check(Subject(Hook.LLM_INPUT, None, None, {}, texts))

    assert finding.texts == ["use [REDACTED]", "go on", " now"]
    assert finding.data == {"aws_access_key": 1}


async def test_what_was_found_in_one_text_does_not_grow_into_the_next():
    finding = await said(PiiConfig(), "mail ana@example.co", "me and see", "x" * 600 + " ana@exam", "ple.com")

    assert finding.texts == ["mail [EMAIL]", "me and see", "x" * 600 + " [EMAIL]", ""]


async def test_numbers_that_stand_side_by_side_are_no_card():
    """Their digits, put together, would be those of one."""
    assert (await said(PiiConfig(), "4111", "1111", "1111", "1111")).texts is None
    assert (await said(PiiConfig(), "4111 1111 11", "11 1111")).texts == ["[CREDITCARDNUMBER]", ""]


@pytest.mark.parametrize(
    ("pattern", "texts"), [("EMP-[0-9]{6}", ["[REDACTED]", ""]), ("[0-9]{6}", None), (r"\b[A-Z]{2}\d{4}", None)]
)
async def test_patterns_of_ones_own_that_are_cut(pattern, texts):
    config = RegexConfig(custom_patterns=(UserPattern(pattern=pattern),))

    assert (await said(config, "EMP-123", "456")).texts == texts


@pytest.mark.parametrize(
    "text",
    [
        "https://x.y/a%20b?c=%7B%22d%22%7D",
        "рост рос у реки, а в 1812 году",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "👩\u200d👩\u200d👧 and ❤\ufe0f",
        "mi\u200ckham",
        "2020–2021, 10² m, ½ l",
    ],
)
async def test_what_looks_disguised_and_is_nothing(text):
    assert await redacted(SecretsConfig(), text) == text
    assert await redacted(PiiConfig(pii_categories=("Email", "PhoneNumber", "CreditCardNumber")), text) == text


# --- large and hostile texts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, SLICE - 10, SLICE, 3 * SLICE - 7, 5 * SLICE])
async def test_what_lies_across_two_slices_is_found(place):
    text = "x " * (place // 2) + "4111 1111 1111 1111" + " y" * SLICE

    [found] = await find_all(text, guardrail(preset("visa")).finder)

    assert text[found.start : found.end] == "4111 1111 1111 1111"


@pytest.mark.parametrize(
    "text",
    ["a" * 1_000_000, "1 " * 500_000, "4111 1111 1111 111" * 55_000, "a@a." * 250_000, "password " * 110_000],
    ids=["letters", "numbers", "cards", "addresses", "words"],
)
async def test_a_megabyte_gives_others_their_turn(text):
    """Counted, and not timed: between two turns no more is looked at than a slice, and what is still growing."""
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    await guardrail(PiiConfig()).check(Subject(Hook.LLM_INPUT, None, None, {}, [Text("user", text)]))
    waiting.cancel()

    assert turns >= len(text) // SLICE


async def test_many_small_texts_give_others_their_turn():
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    await guardrail(PiiConfig()).check(Subject(Hook.LLM_INPUT, None, None, {}, [Text("user", "a")] * 5_000))
    waiting.cancel()

    assert turns > 50


@pytest.mark.parametrize(
    ("source", "reach"),
    [
        ("EMP-[0-9]{6}", None),
        ("sk-[a-z0-9]+", None),
        ("a b{3}", 5),
        (r"a\s+b", 256),
        (".{3}", 3),
        ("[^x]{9}", 9),
        ("é", 1),
    ],
)
def test_how_much_a_pattern_holds_back(source, reach):
    """What holds no whitespace is over at the end of a word."""
    assert user_pattern("p", source).reach == reach


def test_what_is_looked_back_at_is_kept():
    finder = Patterns([PRESETS["passport_us"]])
    text = "passport " + "C03005988 "

    [match] = finder.find(text, len("passport "))

    assert text[match.start : match.end] == "C03005988"
    assert len("passport ") < LOOKBACK
    assert isinstance(guardrail(PiiConfig()), PatternGuardrail)


# --- texts that grow --------------------------------------------------------------------------------------------------

EXAMPLES = [*FOUND.values(), *("".join(parts) for parts in BEHIND_A_WORD.values()), *PERSONAL.values()]
EXAMPLES += [KEY, "sk-proj-abcdefghijklmnopqrstuv01", "postgres://app:s3cr3tpass@db/x", '"password": "hunter2xyz99"']
EXAMPLES += [
    "Bearer abc123def456ghi789jkl0",
    "routing number: 021000021",
    "PESEL 44051401359",
    "project  falcon",
    "C++",
]
BETWEEN = ["hello ", "the ", "a 5 ", "(", "12 ", "é ", "\n", "it's ", ", ", "AB ", "-", "1.", "https://x.y "]
FINDERS = {
    "pii": [PiiConfig()],
    "secrets and pii": [SecretsConfig(), PiiConfig()],
    "presets": [preset(*PRESETS)],
    "words": [WordListConfig(words=("project falcon", "bad*", "C++"))],
}


def texts(random, count):
    """Examples among words and marks that may belong to others of them."""
    for _ in range(count):
        parts = [
            random.choice(BETWEEN) if random.random() < 0.6 else random.choice(EXAMPLES) + random.choice(" .,\n")
            for _ in range(random.randint(2, 7))
        ]
        yield "".join(parts)


@pytest.mark.parametrize("configs", FINDERS.values(), ids=FINDERS)
def test_what_is_found_does_not_depend_on_where_a_text_is_cut(configs):
    """Also where one thing begins within another. What has gone out is always a beginning of what goes out in the end,
    so that nothing of what is found has gone out before."""
    random = Random(7)
    finders = [guardrail(config).finder for config in configs]
    for text in texts(random, 150):
        safe = replaced(text, decide(text, 0, finders, is_end=True).found)
        slot, left, pieces, out = Slot(is_json=False), text, deque(), ""
        while left:
            size = random.choice([1, 1, 2, 3, 5, 8, 13, 40])
            piece, left = left[:size], left[size:]
            slot.text += piece
            pieces.append(piece)
            slot.settle(finders, is_end=not left)
            while pieces and slot.decided >= len(pieces[0]):
                out += slot.take(pieces.popleft())
            assert safe.startswith(out), text
        assert out == safe, text


HOSTILE = [
    *("4111 ", "1 ", "+1 202 555 ", "+12025550123 ", "4111 1111 1111 1112 ", "4111 1111 1111 1111 ", "AKIA", "a@"),
    *(
        "a@b.co ",
        "1.1.1.",
        "a:",
        "::1",
        "GB82 WEST ",
        "DE12 ",
        "aws key ",
        "password ",
        "password=",
        "passport A1234567 ",
    ),
    *(
        "eyJ",
        "-----BEGIN PRIVATE KEY-----",
        "https://a:b",
        "12/3-4.",
        "9",
        "4\u200b1\u200b1\u200b1 ",
        "а1 4111 ",
        "%41",
    ),
    *("QUtJQUlPU0ZPRE5ON0VYQU1QTFE ", "tfn 123 456 782 ", "bearer abc123def456ghi789jk ", "kill "),
]
EVERYTHING = [
    guardrail(preset(*PRESETS)).finder,
    guardrail(PiiConfig()).finder,
    guardrail(SecretsConfig()).finder,
]


@pytest.mark.parametrize("finder", EVERYTHING, ids=["presets", "pii", "secrets"])
def test_work_grows_with_the_text_and_is_given_away_in_turns(finder):
    """Counted, and not timed. `4111 ` over and over, with all presets, held the event loop for 80 to 250 ms for each
    slice: what was rejected was looked through again from each of its places. Now each place is looked at once by each
    pattern, and after so many looks others have their turn."""
    spent = []
    counted = Patterns(finder.patterns)
    counted.searches = [Counting(search, spent) for search in counted.searches]
    for repeat in HOSTILE:
        short, long = [turns_of(counted, (repeat * size)[:size], spent) for size in (1024, 4096)]
        assert sum(long) <= 4.5 * sum(short) + 200, repeat
        assert max(long) <= 2 * TURN + 100, repeat


class Counting:
    """A search that writes down what it takes."""

    def __init__(self, search, spent):
        self.pattern = search.pattern
        self.search = search
        self.spent = spent

    def spans(self, text, since):
        self.spent.append((len(text) - since) * PASS)
        for found in self.search.spans(text, since):
            self.spent.append(self.pattern.effort)
            yield found


def turns_of(counted, text, spent):
    """What is done from one turn to the next, in looks."""
    turns = []
    for match in counted.scan(text, 0):
        if match is None:
            turns.append(sum(spent))
            spent.clear()
    turns.append(sum(spent))
    spent.clear()
    return turns


def test_what_begins_within_a_run_is_not_looked_for_without_end():
    """`password=password=...` took the event loop 0.4 s for each 4 kB, and as long for each event of a stream."""
    asked = []
    pattern = Pattern("p", r"a:\S{8,}", accepts=lambda text: bool(asked.append(text)))

    assert [*Patterns([pattern]).find("a:" * 4096, 0)] == []
    assert len(asked) < 10


@pytest.mark.parametrize("mark", ["\u0301", "\u200b", "\U000e0041", "\\u200b"])
async def test_what_cannot_be_seen_is_not_looked_at_again_and_again(mark):
    """All of it was, with each 2,048 characters more: 200,000 marks on a letter took nine seconds."""

    class Counting(Patterns):
        looked_at = 0

        def scan(self, text, start):
            self.looked_at += len(text)
            return super().scan(text, start)

    finder = Counting(SECRETS)
    text = "a" + mark * 50_000

    assert await find_all(text, finder) == []
    assert finder.looked_at < 8 * len(text)
