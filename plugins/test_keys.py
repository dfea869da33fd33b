"""A vendor's key in the environment, and nothing else."""

import pytest
from gateway_anthropic.provider import Anthropic
from gateway_azure.provider import Azure
from gateway_cohere.provider import Cohere
from gateway_google.provider import Google

from gateway.config.compile.snapshot import compile_snapshot, manifests_from
from gateway.manifests import Secrets

PROVIDERS = {type_: each for each in (Anthropic(), Azure(), Cohere(), Google()) for type_ in each.accounts}


@pytest.mark.parametrize(
    ("variable", "model"),
    [
        ("ANTHROPIC_API_KEY", "anthropic/claude"),
        ("CO_API_KEY", "cohere/command"),
        ("GEMINI_API_KEY", "google-gemini/g"),
    ],
)
def test_gives_an_account_with_all_models(variable, model):
    environ = {variable: "canary", "OPENAI_API_KEY": ""}

    snapshot = compile_snapshot(manifests_from(environ, PROVIDERS.values()), PROVIDERS, Secrets(environ))

    assert snapshot.find(model).model == model.partition("/")[2]
    assert "chat" in snapshot.find(model).model_types
