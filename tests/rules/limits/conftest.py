"""Policies from texts, and the people who ask."""

import msgspec
import pytest

from gateway.config.compile.limits import PolicyCompiler
from gateway.contract import Target
from gateway.manifests import Manifest, Secrets, loads, read
from gateway.manifests.kinds import STRUCTS
from gateway.providers.demo import Demo

MODELS = {"openai-main/gpt-4o", "azure-eu/gpt-4o", "prod/chat"}
ALIASES = {"our-chat": "prod/chat"}


def find(name):
    full = ALIASES.get(name, name)
    return Target(name=full, model=full, model_types=frozenset({"chat"}), provider=Demo()) if full in MODELS else None


class Compiled(msgspec.Struct):
    """The policies of a text, and what was said about it: `path: message`. `at_fault`: types of manifests."""

    policies: object
    faults: list[str]
    at_fault: list[str]
    warnings: list[str]


@pytest.fixture(scope="session")
def compiled():
    def compile_text(text):
        documents = []
        for manifest in loads(text, "gateway.yaml"):
            struct = STRUCTS.get(manifest.type)
            documents.append((manifest, read(manifest, struct, Secrets({}))[0] if struct is not None else None))
        compiler = PolicyCompiler(find)
        policies = compiler.compile(documents)
        return Compiled(
            policies,
            [f"{fault.path}: {fault.message}" for _, fault in compiler.faults],
            [manifest.type for manifest, _ in compiler.faults],
            [f"{fault.path}: {fault.message}" for fault in compiler.warnings],
        )

    return compile_text


@pytest.fixture(scope="session")
def policies_of(compiled):
    """For texts with nothing wrong."""

    def policies(text):
        found = compiled(text)
        assert found.faults == []
        return found.policies

    return policies


@pytest.fixture(scope="session")
def compile_data():
    """The policies of one manifest, whatever it says. Raises ConfigError for what cannot even be read."""

    def policies(kind, data):
        manifest = Manifest(kind, "a", "gateway.yaml", 1, {"type": kind, "name": "a", **data})
        document, _ = read(manifest, STRUCTS[kind], Secrets({}))
        return PolicyCompiler(find).compile([(manifest, document)])

    return policies
