"""Subjects: `user:<email>`, `team:<name>`, `virtualaccount:<name>`."""

EVERYONE = "team:everyone"
"""All users, and no virtual account."""

_SPELLINGS = {
    "user": "user",
    "team": "team",
    "virtualaccount": "virtualaccount",
    "virtual-account": "virtualaccount",  # older pages write these two
    "serviceaccount": "virtualaccount",
}


def canonical(text: str) -> str | None:
    """The one spelling of a subject, or None when it is none. Of users, whose names are addresses, in lower case."""
    kind, _, name = text.partition(":")
    kind = _SPELLINGS.get(kind, "")
    if not kind or not name or name != name.strip() or "*" in name:
        return None
    return f"{kind}:{name.lower() if kind == 'user' else name}"


def user(email: str) -> str:
    return f"user:{email.lower()}"


def team(name: str) -> str:
    return f"team:{name}"


def virtual_account(name: str) -> str:
    return f"virtualaccount:{name}"
