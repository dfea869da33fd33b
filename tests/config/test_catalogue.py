"""What models are called in metrics and traces."""

import pytest

from gateway.config.catalogue import Catalogue
from gateway.config.live import Config
from gateway.settings import Settings

MANIFEST = """\
type: provider-account/openai
name: openai-main
auth_data: {type: api-key, api_key: k}
integrations:
  - {type: integration/model/openai, name: gpt-4o, model_id: gpt-4o, model_types: [chat]}
---
type: provider-account/openai
name: any
auth_data: {type: api-key, api_key: k}
integrations:
  - {type: integration/model/openai, name: "*", model_id: "*", model_types: [chat]}
---
type: provider-account/virtual-model
name: group
integrations:
  - type: integration/model/virtual
    name: fast
    slug: fast-one
    model_types: [chat]
    routing_config: {type: weight-based-routing, load_balance_targets: [{target: openai-main/gpt-4o, weight: 100}]}
"""


@pytest.fixture
def catalogue(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(MANIFEST)
    return Catalogue(Config(path, Settings()))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("openai-main/gpt-4o", ("openai-main/gpt-4o", "openai")),
        ("group/fast", ("group/fast", "virtual-model")),
        ("fast-one", ("group/fast", "virtual-model")),
        ("any/whatever-123", ("any/*", "openai")),
        ("openai-main/none", ("", "")),
        ("nobody/none", ("", "")),
        ("", ("", "")),
    ],
)
def test_names_are_those_of_manifests(catalogue, name, known):
    assert catalogue.described(name) == known
    assert catalogue.described(name) == known  # when it is remembered, too


async def test_a_new_configuration_counts_at_once(catalogue):
    assert catalogue.described("later/m") == ("", "")

    path = catalogue.config.path
    path.write_text(MANIFEST.replace("openai-main", "later"))
    await catalogue.config.reload()

    assert catalogue.described("later/gpt-4o") == ("later/gpt-4o", "openai")
    assert catalogue.described("openai-main/gpt-4o") == ("", "")
