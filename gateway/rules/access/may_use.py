"""Whether a caller may use a model."""

from gateway.contract import Caller, Target


def may_use(caller: Caller, target: Target) -> bool:
    if caller.is_admin:
        return True
    subjects = caller.subjects
    return not target.users.isdisjoint(subjects) and (target.only is None or not target.only.isdisjoint(subjects))
