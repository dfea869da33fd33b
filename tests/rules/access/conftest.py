"""Manifests, as data -> who holds what."""

import msgspec
import pytest

from gateway.config.compile.access import access_of
from gateway.config.compile.snapshot import struct_of
from gateway.manifests import Manifest
from gateway.plugins import providers_by_type
from gateway.secrecy.secret import Secret

PROVIDERS = providers_by_type()


def document(data):
    struct = struct_of(data["type"], PROVIDERS)
    found = msgspec.convert(
        data, struct, dec_hook=lambda _, value: value if isinstance(value, Secret) else Secret(value)
    )
    return Manifest(data["type"], data["name"], "gateway.yaml", 1, data), found


@pytest.fixture(scope="session")
def compiled():
    """`access, warnings = compiled(*manifests)`; warnings as texts."""

    def compile_all(*manifests):
        warnings = []
        access = access_of([document(data) for data in manifests], warnings)
        return access, [str(warning) for warning in warnings]

    return compile_all


@pytest.fixture(scope="session")
def account():
    """An account with the models `gpt` and `mini`; `listed` are the `authorized_subjects` of `gpt`."""

    def make(name="main", *, collaborators=None, listed=None):
        models = [
            {"type": "integration/model/openai", "name": model, "model_id": model, "model_types": ["chat"]}
            for model in ("gpt", "mini")
        ]
        if listed is not None:
            models[0]["authorized_subjects"] = listed
        data = {"type": "provider-account/openai", "name": name, "integrations": models}
        if collaborators is not None:
            data["collaborators"] = [{"subject": subject, "role_id": role} for subject, role in collaborators]
        return data

    return make
