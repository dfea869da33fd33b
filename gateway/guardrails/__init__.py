"""Guardrails that are built in, each a `gateway.contract.Guardrail`."""
