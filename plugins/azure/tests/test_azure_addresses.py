"""Where a deployment is called, whatever of Azure's addresses was copied into the account."""

import pytest
from gateway_azure.addresses import Address, azure_foundry, azure_openai, claude, microsoft_foundry

RESOURCE = "https://acme.openai.azure.com"
FOUNDRY = "https://acme.services.ai.azure.com"


def chat(address):
    return address.urls["chat"]


@pytest.mark.parametrize(
    "endpoint", [RESOURCE, f"{RESOURCE}/", f"{RESOURCE}/openai", f"{RESOURCE}/openai/", f"{RESOURCE}/openai/v1/"]
)
def test_a_version_with_a_date_is_called_by_deployment(endpoint):
    assert azure_openai(endpoint, "prod gpt", "2024-10-21").urls == {
        "chat": f"{RESOURCE}/openai/deployments/prod%20gpt/chat/completions?api-version=2024-10-21",
        "completions": f"{RESOURCE}/openai/deployments/prod%20gpt/completions?api-version=2024-10-21",
        "embeddings": f"{RESOURCE}/openai/deployments/prod%20gpt/embeddings?api-version=2024-10-21",
        "realtime": f"{RESOURCE}/openai/realtime?api-version=2024-10-21&deployment=prod%20gpt",
        "files": f"{RESOURCE}/openai/files?api-version=2024-10-21",
        "uploads": f"{RESOURCE}/openai/uploads?api-version=2024-10-21",
        "batches": f"{RESOURCE}/openai/batches?api-version=2024-10-21",
        "fine_tuning": f"{RESOURCE}/openai/fine_tuning/jobs?api-version=2024-10-21",
    }


def test_files_are_the_resources_where_there_is_one():
    """Neither a model with an endpoint of its own nor the model inference API has them."""
    assert azure_openai(RESOURCE, "m", "v1").urls["files"] == f"{RESOURCE}/openai/v1/files"
    for address in (azure_foundry(f"{FOUNDRY}/models", "m", None), claude(FOUNDRY)):
        assert "files" not in address.urls


@pytest.mark.parametrize(("version", "query"), [("v1", ""), ("latest", ""), ("preview", "?api-version=preview")])
def test_the_v1_api_has_one_address_for_all(version, query):
    assert chat(azure_openai(f"{RESOURCE}/openai", "m", version)) == f"{RESOURCE}/openai/v1/chat/completions{query}"


@pytest.mark.parametrize(
    ("version", "knows"),
    [
        ("2023-05-15", False), ("2024-06-01", False), ("2024-08-01-preview", False), ("2024-09-01-preview", True),
        ("2024-10-21", True), ("2025-04-01-preview", True), ("v1", True),
    ],
)  # fmt: skip
def test_older_versions_know_no_stream_options(version, knows):
    """They answer 400 to it."""
    assert azure_openai(RESOURCE, "m", version).knows_stream_options is knows


@pytest.mark.parametrize(
    ("openai", "project", "version", "url"),
    [
        (RESOURCE, None, None, f"{RESOURCE}/openai/v1/chat/completions"),
        (f"{RESOURCE}/openai/v1/", f"{FOUNDRY}/api/projects/p", None, f"{RESOURCE}/openai/v1/chat/completions"),
        (None, f"{FOUNDRY}/api/projects/p", None, f"{FOUNDRY}/openai/v1/chat/completions"),
        (
            RESOURCE,
            None,
            "2025-04-01-preview",
            f"{RESOURCE}/openai/deployments/m/chat/completions?api-version=2025-04-01-preview",
        ),
    ],
)
def test_microsoft_foundry_is_called_at_one_of_its_endpoints(openai, project, version, url):
    assert chat(microsoft_foundry(openai, project, "m", version)) == url


@pytest.mark.parametrize(
    ("endpoint", "version", "url"),
    [
        (FOUNDRY, None, f"{FOUNDRY}/openai/v1/chat/completions"),
        (FOUNDRY, "2024-05-01-preview", f"{FOUNDRY}/models/chat/completions?api-version=2024-05-01-preview"),
        (f"{FOUNDRY}/models", None, f"{FOUNDRY}/models/chat/completions?api-version=2024-05-01-preview"),
        (
            f"{FOUNDRY}/models/chat/completions?api-version=2025-01-01",
            None,
            f"{FOUNDRY}/models/chat/completions?api-version=2025-01-01",
        ),
        (f"{FOUNDRY}/openai/v1/", None, f"{FOUNDRY}/openai/v1/chat/completions"),
        (f"{FOUNDRY}/api/projects/p", None, f"{FOUNDRY}/openai/v1/chat/completions"),
        (RESOURCE, "2024-10-21", f"{RESOURCE}/openai/deployments/m/chat/completions?api-version=2024-10-21"),
        (
            f"{RESOURCE}/openai/deployments/other/chat/completions?api-version=2024-10-21",
            None,
            f"{RESOURCE}/openai/deployments/other/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://mistral.eastus2.models.ai.azure.com",
            None,
            "https://mistral.eastus2.models.ai.azure.com/chat/completions?api-version=2024-05-01-preview",
        ),
        ("https://apim.example/ai", None, "https://apim.example/ai/chat/completions"),
        ("https://apim.example/ai/", "2024-10-21", "https://apim.example/ai/chat/completions?api-version=2024-10-21"),
    ],
)
def test_azure_foundry_takes_what_the_portal_shows(endpoint, version, url):
    assert chat(azure_foundry(endpoint, "m", version)) == url


def test_a_deployment_without_a_version_is_refused():
    with pytest.raises(ValueError, match="there has to be an api_version"):
        azure_foundry(f"{RESOURCE}/openai/deployments/m", "m", None)


@pytest.mark.parametrize(
    "address",
    [
        claude(f"{FOUNDRY}/api/projects/p"),
        claude(RESOURCE),
        azure_foundry(f"{FOUNDRY}/anthropic", "m", None),
        azure_foundry(f"{FOUNDRY}/anthropic/v1/messages", "m", None),
        azure_foundry(FOUNDRY, "claude-sonnet-4-5", None),
    ],
)
def test_claude_speaks_anthropics_api(address):
    assert address == Address(f"{FOUNDRY}/anthropic", None, {"anthropic": "/v1/messages"}, "anthropic")
