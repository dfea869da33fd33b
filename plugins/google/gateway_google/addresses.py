"""Where a model is called: the Gemini API, Vertex AI, and on the latter by whose API its publisher speaks.

Source: ai.google.dev/api; docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations, /partner-models/
use-partner-models and /maas/call-open-model-apis; docs.cloud.google.com/generative-ai-app-builder/docs/ranking;
_api_client.py of google-genai 3.6.1; anthropic/lib/vertex/_client.py of anthropic 0.90; read 2026-11.
"""

from typing import Literal
from urllib.parse import quote

import msgspec

Format = Literal["gemini", "anthropic", "mistral", "openai", "ranking"]

RANKING_HOST = "https://discoveryengine.googleapis.com"
"""Its models are global."""

_MULTI_REGIONS = frozenset({"eu", "us"})


class Address(msgspec.Struct, frozen=True):
    """
    Args:
        model: as it is named in the body, where it is named there.
        base: what stands before the method, `:generateContent`, `:rank`; for the format `openai`, before
            `/chat/completions`.
    """

    format: Format
    model: str
    base: str


def gemini(base_url: str, model: str) -> Address:
    name = model.removeprefix("models/")
    prefix = "" if name.startswith("tunedModels/") else "models/"
    return Address("gemini", name, f"{base_url.rstrip('/')}/{prefix}{quote(name, safe='/')}")


def vertex(model: str, project: str, region: str, base_url: str | None) -> Address:
    """Raises ValueError: the name of the model is none."""
    if model.startswith("semantic-ranker"):
        parent = f"projects/{quote(project, safe=':')}/locations/global"
        root = (base_url or RANKING_HOST).rstrip("/")
        return Address("ranking", model, f"{root}/v1/{parent}/rankingConfigs/default_ranking_config")
    root = (base_url or host_of(region)).rstrip("/")
    parent = f"projects/{quote(project, safe=':')}/locations/{region}"
    name = model
    if model.startswith("projects/"):  # of a tuned model's endpoint, the whole name
        return Address("gemini", model, f"{root}/v1beta1/{quote(model, safe='/')}")
    if model.isdecimal():
        return Address("gemini", model, f"{root}/v1beta1/{parent}/endpoints/{model}")
    if model.startswith("publishers/"):
        name = model.removeprefix("publishers/").replace("/models/", "/", 1)
    publisher, slash, name = name.rpartition("/")
    publisher = publisher if slash else publisher_of(name)
    if not name or "/" in publisher:
        raise ValueError(f"model_id {model!r} names no model: give gemini-2.5-pro, or PUBLISHER/MODEL")
    at = f"{root}/{{}}/{parent}/publishers/{quote(publisher, safe='')}/models/{quote(name, safe='@')}"
    match publisher:
        case "google" if not name.startswith("gemma"):
            return Address("gemini", name, at.format("v1beta1"))
        case "anthropic":
            return Address("anthropic", name, at.format("v1"))
        case "mistralai":
            return Address("mistral", name.partition("@")[0], at.format("v1"))
    return Address("openai", f"{publisher}/{name}", f"{root}/v1/{parent}/endpoints/openapi")


def host_of(region: str) -> str:
    if region == "global":
        return "https://aiplatform.googleapis.com"
    if region in _MULTI_REGIONS:
        return f"https://aiplatform.{region}.rep.googleapis.com"
    return f"https://{region}-aiplatform.googleapis.com"


def publisher_of(model: str) -> str:
    """Of a model without one: those whose names tell it."""
    if model.startswith("claude"):
        return "anthropic"
    return "mistralai" if model.startswith(("mistral", "codestral", "ministral")) else "google"
