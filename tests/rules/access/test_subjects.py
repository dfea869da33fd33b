"""One spelling of each subject."""

import pytest

from gateway.rules.access.subjects import EVERYONE, canonical, team, user, virtual_account


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("user:ana@example.com", "user:ana@example.com"),
        ("user:Ana@EXAMPLE.com", "user:ana@example.com"),
        ("user:ÄNNE@example.com", "user:änne@example.com"),
        ("team:platform", "team:platform"),
        ("team:Platform", "team:Platform"),
        ("team:everyone", EVERYONE),
        ("virtualaccount:ci", "virtualaccount:ci"),
        ("virtual-account:ci", "virtualaccount:ci"),
        ("serviceaccount:ci", "virtualaccount:ci"),
        ("serviceaccount:CI", "virtualaccount:CI"),
        ("virtualaccount:a:b", "virtualaccount:a:b"),
    ],
)
def test_every_spelling_means_one_subject(text, subject):
    """Addresses are the same in any case; names of teams and applications are not."""
    assert canonical(text) == subject
    assert canonical(subject) == subject


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "user", "user:", "team:", "ana@example.com", "everyone", "*", "user:*", "team:*", "virtualaccount:c*",
        "User:ana@example.com", "TEAM:platform", " user:ana@example.com", "user: ana@example.com",
        "user:ana@example.com ", "team:platform\n", "user :ana", "role:admin", "claim:okta:x", "secret:g:k", "tenant:a",
        "agent:bot", "service-account:ci", "user\u200b:ana",
    ],
)  # fmt: skip
def test_anything_else_is_no_subject(text):
    """A wildcard is none: who wants everybody says `team:everyone`. Claims and secrets are the gateway's own."""
    assert canonical(text) is None


def test_subjects_by_their_names():
    assert (user("Ana@x.com"), team("Ops"), virtual_account("CI")) == (
        "user:ana@x.com",
        "team:Ops",
        "virtualaccount:CI",
    )
