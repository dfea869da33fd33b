"""Keys of counters: whatever people call their rules and users, two counters never share one."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.limits import Unit
from gateway.contract.windows import Window
from gateway.rules.limits.keys import counter_key, manifest_of, policy_key, policy_of, scope_text

PART = (
    st.text(st.sampled_from("a|#=%!/:é\x00\ud800 7C"), max_size=6)
    | st.text()
    | st.text("ab", min_size=110, max_size=130)
)
POLICY = st.tuples(PART, PART) | st.tuples(PART, PART, PART)
SCOPES = st.lists(st.tuples(PART, PART), max_size=2).map(tuple)
COUNTER = st.tuples(POLICY, st.sampled_from(Unit), st.sampled_from(Window), SCOPES)


def key_of(counter):
    policy, unit, window, scopes = counter
    return counter_key(policy_key(*policy), unit, window, scopes)


def test_keys_can_be_read():
    policy = policy_key("gateway-budget-config", "budgets", "eng monthly")

    key = counter_key(policy, Unit.COST, Window.MONTH, [("user", "ana@example.com"), ("model", "openai-main/gpt-4o")])

    assert key == (
        "gateway-budget-config|budgets|eng%20monthly#cost/month|user=ana@example.com|model=openai-main/gpt-4o"
    )
    assert policy_of(key) == "gateway-budget-config|budgets|eng%20monthly"


def test_separators_in_names():
    """However names are cut into parts, and whatever they look like when they are written down."""
    parts = ["", "a", "|", "a|a", "=", "a=a", "#", "!", "%", "%7C", "%25"]
    policies = [("a", "a"), *product(parts, repeat=2), *product(parts[:6], parts[6:], parts)]
    scopes = [(), *product(product(parts, ["", "a", "|", "=a"]))]
    counters = set(product(policies, [Unit.COST], [Window.MONTH, Window.WEEK], scopes))

    assert len({key_of(counter) for counter in counters}) == len(counters)


@given(COUNTER, COUNTER)
def test_counters_that_differ_have_keys_that_differ(one, other):
    """Names hold separators, percent signs and what looks like a hash; a shared counter would bill the wrong person."""
    assert (key_of(one) == key_of(other)) == (one == other)


@given(POLICY, POLICY)
def test_so_have_policies(one, other):
    assert (policy_key(*one) == policy_key(*other)) == (one == other)


@given(COUNTER)
def test_a_key_tells_its_policy(counter):
    assert policy_of(key_of(counter)) == policy_key(*counter[0])


@given(POLICY)
def test_a_policy_tells_its_manifest(policy):
    assert manifest_of(policy_key(*policy)) == policy_key(*policy[:2])


@given(COUNTER)
def test_keys_are_plain(counter):
    """Every database and Redis cluster takes them: printable ASCII without braces or spaces."""
    key = key_of(counter)

    assert key.isascii()
    assert key.isprintable()
    assert not set(key) & set(" {}\"'\\")


def test_long_values_are_hashed():
    """A caller may send 10 kB of metadata; two values that begin alike still count apart."""
    one, other = (counter_key("p", Unit.TOKENS, Window.DAY, [("metadata.a", "x" * 10_000 + end)]) for end in "ab")

    assert one != other
    assert one.startswith("p#tokens/day|metadata.a=" + "x" * 40 + "!")
    assert len(one) == len(other) == 97


def test_scopes_for_people():
    assert scope_text([("user", "ana@example.com"), ("metadata.app", "bot one")]) == (
        "user:ana@example.com, metadata.app:bot one"
    )
    assert scope_text([]) == ""


def test_scopes_for_people_break_no_line():
    """They come to logs and headers."""
    assert scope_text([("metadata.app", "a\r\nset-cookie: x")]) == "metadata.app:a%0D%0Aset-cookie:%20x"
    assert len(scope_text([("metadata.app", "é" * 10_000)])) == 86
