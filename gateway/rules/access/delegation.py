"""Nobody can grant more than they hold."""

from gateway.contract import Caller
from gateway.rules.access.access import Access, Grant
from gateway.rules.access.roles import ADMIN_PERMISSION, LISTED, SECRET_GROUP, TENANT, resources_over


def given_away(before: Access, after: Access, giver: Caller, *, made: str | None = None) -> list[tuple[str, Grant]]:
    """What a change of the manifests would give to anybody, and the giver does not hold: (subject, grant), sorted.

    It compares all that each subject holds before and after, so it does not matter how the change grants it: by a
    collaborator, a role, a binding, a team's new member, a claim that is mapped to a team, or a secret into which the
    tokens of a virtual account are written. What it cannot see is a model whose `authorized_subjects` are taken away.

    Args:
        made: the resource which the change creates, and on which its creator may grant everything.
    """
    if giver.is_admin:
        return []
    if made is not None and _holds_tokens(before, made):
        made = None  # who can read it can use them, so it is nobody's to make
    found = []
    for subject in before.known() | after.known():
        held = before.effective(subject)
        for grant in after.effective(subject) - held:
            if is_within(grant, held) or made in resources_over(grant.resource) or before.holds(giver, *grant):
                continue
            if grant.permission == LISTED and grant.resource not in before.narrowed:
                continue  # a list where there was none lets nobody in
            found.append((subject, grant))
    return sorted(found)


def beyond(access: Access, subject: str, giver: Caller) -> list[Grant]:
    """What a subject holds and the giver does not: with a token of that subject, the giver would get it."""
    return sorted(grant for grant in access.effective(subject) if not access.holds(giver, *grant))


def is_within(grant: Grant, held: frozenset[Grant]) -> bool:
    """Whether a grant adds nothing to what is held already."""
    enough = {Grant(grant.permission, resource) for resource in resources_over(grant.resource)}
    return not held.isdisjoint({*enough, Grant(ADMIN_PERMISSION, TENANT)})


def _holds_tokens(access: Access, resource: str) -> bool:
    kind, _, group = resource.partition(":")
    return kind == SECRET_GROUP.resource and any(secret.startswith(f"secret:{group}:") for secret in access.mapped)
