"""The provider for AWS's two endpoints of Anthropic's Messages API: the Claude Platform, and Bedrock's `bedrock-mantle`
with other models, which speak OpenAI's chat API.

Who translates into the Messages API is another plugin, found by the format it is for.

Source: docs.aws.amazon.com/claude-platform/latest/userguide/making-requests.html, .../bedrock/latest/userguide/
bedrock-mantle.html and projects.html, platform.claude.com/docs/en/build-with-claude/claude-in-amazon-bedrock; lib/aws/
_client.py and lib/bedrock/_mantle.py of anthropic 2.14; read 2026-11.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Head, JsonBody, Reading, Target, Translator, UpstreamRequest
from gateway.errors import BadRequest, Refused
from gateway.manifests.accounts import ApiKeyAuth, Integration, ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor
from gateway.translators import translator
from gateway.wire.address import below
from gateway_aws.accounts import ClaudePlatformAccount, MantleAccount, MantleModel
from gateway_aws.failures import refused
from gateway_aws.signers import Signers

ANTHROPIC_VERSION = "2023-06-01"

_MESSAGES = "anthropic"
"""As a dialect: callers of that API need no translator."""
_VENDOR = Vendor()
_encode = msgspec.json.encode


class MessagesSettings(Settings, frozen=True, kw_only=True):
    """`format`: what translators call what is spoken there; None: OpenAI's API."""

    format: str | None


class Messages(OpenAICompatible):
    """
    Args:
        signers: who signs requests; None: made when they are first needed.
        translators: (dialect, format) -> the one between them.
    """

    accounts: Mapping[str, Any] = {
        "provider-account/aws-bedrock-mantle": MantleAccount,
        "provider-account/aws-claude-platform": ClaudePlatformAccount,
    }

    def __init__(
        self,
        *,
        signers: Signers | None = None,
        translators: Callable[[str, str], Translator | None] = translator,
    ) -> None:
        self._signers = signers or Signers()
        self._translators = translators

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, MantleAccount | ClaudePlatformAccount)
        headers = {"content-type": "application/json"}
        auth, signer = account.auth_data, None
        if isinstance(auth, ApiKeyAuth):
            headers["authorization"] = f"Bearer {auth.api_key.reveal()}"
        else:
            service = "bedrock-mantle" if isinstance(account, MantleAccount) else "aws-external-anthropic"
            signer = self._signers.of_account(auth, service)
        for model in account.integrations:
            format_, endpoint = _place_of(account, model, headers)
            region = (model.region if isinstance(model, MantleModel) else None) or account.region
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                signer=signer(region) if signer is not None else None,
                settings=MessagesSettings(
                    {"chat" if format_ is None else _MESSAGES: endpoint},
                    _VENDOR,
                    asks_for_usage=account.asks_for_usage and format_ is None,
                    format=format_,
                ),
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        through = self._translator(call, target)
        if through is None:
            return super().request(call, target)
        body = through.request(call, target.model)
        assert isinstance(body, JsonBody)
        return UpstreamRequest(target.settings.endpoints[_MESSAGES], _encode(body.fields), body.dropped_params)

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        through = self._translator(call, target)
        return super().reading(call, target, head) if through is None else through.reading(call, head)

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        return refused(super().refusal(call, target, head, body), target, head, body)

    def _translator(self, call: Call, target: Target) -> Translator | None:
        """None: the caller's own API is spoken there.

        Raises:
            BadRequest: there is no way from one to the other.
        """
        settings: MessagesSettings = target.settings
        dialect = call.dialect.name
        if settings.format is None or dialect == _MESSAGES:
            return None
        found = self._translators(dialect, settings.format)
        if found is None:
            message = f"{target.name} speaks the API of {_MESSAGES}, and no plugin that is installed translates into it"
            raise BadRequest(f"{message} from that for {dialect}", param="model")
        return found


def _place_of(
    account: MantleAccount | ClaudePlatformAccount, model: Integration, headers: Mapping[str, str]
) -> tuple[str | None, Endpoint]:
    """What is spoken to a model, and where."""
    for_claude = {**headers, "anthropic-version": ANTHROPIC_VERSION}
    if isinstance(account, ClaudePlatformAccount):
        base_url = account.base_url or f"https://aws-external-anthropic.{account.region}.api.aws/v1"
        for_claude["anthropic-workspace-id"] = account.workspace_id
        return "anthropic-on-aws", Endpoint(below(base_url, "/messages"), for_claude)
    assert isinstance(model, MantleModel)
    base_url = account.base_url or f"https://bedrock-mantle.{model.region or account.region}.api.aws"
    if "claude" in model.model_id:
        return "anthropic-mantle", Endpoint(below(base_url, "/anthropic/v1/messages"), for_claude)
    project = model.project or account.project
    more = {} if project is None else {"openai-project": project}
    return None, Endpoint(below(base_url, "/v1/chat/completions"), {**headers, **more})
