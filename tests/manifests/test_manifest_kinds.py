"""The table of all kinds of manifests."""

from gateway.manifests.kinds import KINDS, STRUCTS, rank_of


def test_what_others_refer_to_comes_first():
    """A type that nobody knows comes last."""
    in_order = (
        "identity-provider",
        "team",
        "role",
        "secret-group",
        "provider-account/openai",
        "provider-account/virtual-model",
        "virtual-account",
        "role-binding",
        "gateway-rate-limiting-config",
        "gateway-budget-config",
        "team-budget-config",
        "brand-new",
    )

    ranks = [*map(rank_of, in_order)]

    assert ranks == sorted(set(ranks))


def test_what_is_not_in_the_table_stands_with_its_family():
    """Accounts are read by plugins, of which the table knows nothing."""
    assert rank_of("provider-account/openai") == rank_of("provider-account/of-a-plugin") == rank_of("provider-account")
    assert rank_of("tenant-rate-limit-config") == rank_of("tenant-rate-limit-config/model")
    assert rank_of("brand-new") == rank_of("brand-new/too")


def test_some_kinds_are_read_by_nobody_yet():
    assert KINDS["workspace"] is None
    assert "workspace" not in STRUCTS
    assert STRUCTS["team"] is KINDS["team"]
