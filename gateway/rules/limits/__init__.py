"""Limits and budgets: for each request, the counters it draws on.

policies = PolicyCompiler(find).compile(documents)  # in `gateway.config.compile.limits`
held = policies.holds(caller, ("prod/chat",), metadata, is_final=False)                 # in front of dispatch
more = policies.more_holds(caller, "prod/chat", "openai-main/gpt-4o", metadata, held)   # for each target
"""

from gateway.rules.limits.keys import policy_of
from gateway.rules.limits.policies import Policies
from gateway.rules.limits.rule import Filter, Limit, Rule

__all__ = ["Filter", "Limit", "Policies", "Rule", "policy_of"]
