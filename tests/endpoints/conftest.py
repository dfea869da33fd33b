"""A gateway with guardrails, and two of whom one may use them."""

import json

import pytest

from gateway.errors import BrokeOff
from gateway.testing import FakeUpstream

ACCOUNT = {
    "type": "provider-account/demo",
    "name": "demo",
    "integrations": [{"type": "integration/model/demo", "name": "echo", "model_types": ["chat"]}],
}


def integration(kind, name, operation="validate", **fields):
    return {
        "type": f"integration/guardrail-config/{kind}",
        "name": name,
        "operation": operation,
        "enforcing_strategy": "enforce",
        **fields,
    }


GROUP = {
    "type": "provider-account/guardrail-config-group",
    "name": "safety",
    "collaborators": [{"subject": "user:ana@example.com", "role_id": "provider-account-access"}],
    "integrations": [
        integration("secret-detection", "finds"),
        integration("secret-detection", "redacts", "mutate"),
        integration("tfy-prompt-injection", "injection"),
        integration("custom", "asks", target="request", config={"url": "http://127.0.0.1:9/check"}),
    ],
}
ANA, BOB = "ana-0123456789abcdef0123", "bob-0123456789abcdef0123"


@pytest.fixture
def guarded(app_with, tmp_path):
    path = tmp_path / "guarded.yaml"
    path.write_text(json.dumps([ACCOUNT, GROUP]))

    def make(upstream=None):
        tokens = f"user:ana@example.com={ANA},user:bob@example.com={BOB}"
        environ = {"GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef", "GATEWAY_TOKENS": tokens}
        return app_with(upstream or FakeUpstream(BrokeOff("nobody")), path, environ=environ)

    return make
