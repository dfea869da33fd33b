"""Amazon Bedrock Guardrails, asked by themselves: whatever model answers.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ApplyGuardrail.html; read 2026-11.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from gateway.contract import Finding, GuardrailSpec, Hook, Signer, Subject
from gateway.errors import UpstreamError
from gateway.guardrails.services import BOTH, at, endpoint, expected, post
from gateway.secrecy.secret import Secret
from gateway_aws.accounts import AccessKeyAuth, AssumedRoleAuth, KeysAuth, domain_of
from gateway_aws.signers import Signers

_POLICIES = ("topics", "filters", "customWords", "managedWordLists", "piiEntities", "regexes")


class BedrockGuardrail:
    """
    Args:
        signers: who signs; None: made when they are first needed.
        base_url: in place of Amazon's own address.
    """

    hooks = BOTH

    def __init__(self, spec: GuardrailSpec, *, signers: Signers | None = None, base_url: str | None = None) -> None:
        config, auth = spec.config, spec.auth or {}
        base_url = base_url or f"https://bedrock-runtime.{config.region}.{domain_of(config.region)}"
        path = (
            f"/guardrail/{quote(config.guardrail_id, safe='')}/version/{quote(config.guardrail_version, safe='')}/apply"
        )
        self.name = spec.name
        self._redacts = spec.redacts
        self._signer: Signer | None = None
        headers = {}
        if "api_key" in auth:
            headers["authorization"] = f"Bearer {auth['api_key']}"
        else:
            self._signer = (signers or Signers()).of_account(_keys(auth), "bedrock")(config.region)
        self._endpoint = endpoint(base_url + path, headers)

    async def check(self, subject: Subject) -> Finding:
        texts = [text.text for text in subject.texts if text.text.strip()]
        if not texts:
            return Finding()
        source = "OUTPUT" if subject.hook in (Hook.LLM_OUTPUT, Hook.MCP_POST) else "INPUT"
        body = {"source": source, "content": [{"text": {"text": text}} for text in texts]}
        answer = await post(subject, self._endpoint, body, signer=self._signer)
        action = expected(at(answer, "action"), str, "action")
        if action == "NONE":
            return Finding()
        if action != "GUARDRAIL_INTERVENED":
            raise UpstreamError("Bedrock answered with an action that is not known")
        found = dict(_found(answer))
        if not self._redacts or "BLOCKED" in found.values() or not found:
            return Finding("block", f"Bedrock intervened: {', '.join(sorted(found)) or 'no reason given'}", data=found)
        return Finding(message=f"found {', '.join(sorted(found))}", texts=self._masked(subject, answer), data=found)

    def _masked(self, subject: Subject, answer: Any) -> list[str]:
        """Raises UpstreamError: it has not one text for each."""
        outputs = [at(each, "text") for each in expected(at(answer, "outputs"), list, "outputs")]
        is_sent = [bool(text.text.strip()) for text in subject.texts]
        if len(outputs) != sum(is_sent) or not all(isinstance(each, str) for each in outputs):
            raise UpstreamError("Bedrock did not answer with one text for each that it was sent")
        masked = iter(outputs)
        return [next(masked) if sent else text.text for text, sent in zip(subject.texts, is_sent, strict=True)]


def _found(answer: Any) -> Iterator[tuple[str, str]]:
    """What was found -> what Bedrock has done about it."""
    for assessment in at(answer, "assessments") or []:
        for policy in assessment.values() if isinstance(assessment, dict) else ():
            for kind in _POLICIES:
                for each in at(policy, kind) or []:
                    name = at(each, "name") or at(each, "type") or kind
                    if at(each, "action") not in (None, "NONE"):
                        yield str(name), str(at(each, "action"))


def _keys(auth: Mapping[str, str]) -> KeysAuth | None:
    """Raises ValueError: it has neither keys nor a role."""
    if not auth:
        return None
    if "access_key_id" in auth and "secret_access_key" in auth:
        token = auth.get("session_token")
        return AccessKeyAuth(
            access_key_id=Secret(auth["access_key_id"]),
            secret_access_key=Secret(auth["secret_access_key"]),
            session_token=Secret(token) if token else None,
        )
    if "assumed_role_arn" in auth:
        return AssumedRoleAuth(assumed_role_arn=auth["assumed_role_arn"], external_id=auth.get("external_id"))
    raise ValueError("auth_data needs access_key_id and secret_access_key, assumed_role_arn, or api_key")
