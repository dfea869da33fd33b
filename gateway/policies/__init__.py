"""Limits and budgets: manifests in, and for each request the counters it draws on out.

policies = PolicyCompiler(find).compile(documents)
held = policies.holds(caller, ("prod/chat",), metadata, is_final=False)                 # in front of dispatch
more = policies.more_holds(caller, "prod/chat", "openai-main/gpt-4o", metadata, held)   # for each target
"""

from gateway.policies.compiler import PolicyCompiler
from gateway.policies.keys import policy_of
from gateway.policies.policies import Policies
from gateway.policies.rule import Filter, Limit, Rule

__all__ = ["Filter", "Limit", "Policies", "PolicyCompiler", "Rule", "policy_of"]
