"""Accounts at ElevenLabs, Deepgram, Cartesia and Smallest."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Head, Reading, Target, UpstreamRequest
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, Refused
from gateway.manifests.accounts import ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor, any_model_of
from gateway.wire.address import below, path_of
from gateway.wire.native_speech import STT, TTS
from gateway_speech import native
from gateway_speech.accounts import CartesiaAccount, SpeechAccount
from gateway_speech.asked import fields_of, heard, spoken
from gateway_speech.cartesia import Cartesia
from gateway_speech.deepgram import Deepgram
from gateway_speech.elevenlabs import ElevenLabs
from gateway_speech.reading import LABELS, SoundEvents, SoundReading, TranscriptEvents, TranscriptReading
from gateway_speech.refusal import NOTHING_LEFT, said_in
from gateway_speech.smallest import Smallest
from gateway_speech.vendor import Sent, SpeechVendor

SPEECH, TRANSCRIPTIONS = "speech", "transcriptions"
"""Dialects of OpenAI's that are translated."""
NATIVE = frozenset({TTS, STT})
CARTESIA_VERSION = "2025-04-16"
"""Of an account that a key in the environment makes: the newest that truefoundry-sdk 0.6.0 knows."""
_MODEL_TYPES = ("text_to_speech", "audio_transcription")
_QUIRKS = Vendor(asks_for_usage=False)
_VENDORS: Mapping[str, SpeechVendor] = {
    f"provider-account/{vendor.name}": vendor for vendor in (ElevenLabs(), Deepgram(), Cartesia(), Smallest())
}


class SpeechSettings(Settings, frozen=True, kw_only=True):
    """`account`: where it is, with its key; `base_path`: the path below which its API is."""

    account: Endpoint
    base_path: str
    spoken_by: SpeechVendor
    voices: Mapping[str, str]


class Speech(OpenAICompatible):
    accounts: Mapping[str, Any] = {
        type_: CartesiaAccount if isinstance(vendor, Cartesia) else SpeechAccount for type_, vendor in _VENDORS.items()
    }

    def accounts_for(self, variables: Collection[str]) -> Iterable[dict[str, Any]]:
        for type_, vendor in _VENDORS.items():
            if vendor.key_variable in variables:
                account = any_model_of(type_, {"api_key": f"${{{vendor.key_variable}}}"}, _MODEL_TYPES)
                more = {"cartesia_version": CARTESIA_VERSION} if isinstance(vendor, Cartesia) else {}
                yield {**account, **more}

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, SpeechAccount)
        vendor = _VENDORS[account.type]
        base = _base(account.base_url or vendor.base_url, vendor)
        headers = {"content-type": "application/json", **vendor.headers(account)}
        endpoint = Endpoint(base, headers)
        models = Endpoint(below(base, vendor.models_path), headers, method="GET") if vendor.models_path else None
        for model in account.integrations:
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                settings=SpeechSettings(
                    {},
                    _QUIRKS,
                    asks_for_usage=False,
                    models=models if model.name == "*" else None,
                    account=endpoint,
                    base_path=path_of(base).rstrip("/"),
                    spoken_by=vendor,
                    voices=account.voices,
                ),
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        settings: SpeechSettings = target.settings
        vendor = settings.spoken_by
        if call.dialect.name in NATIVE:
            return native.request(call, settings.account, settings.base_path, vendor, target.model)
        fields = fields_of(call)
        if call.dialect.name == SPEECH:
            sent = vendor.speak(spoken(fields, settings.voices, vendor.formats), fields, target.model)
        elif call.dialect.name == TRANSCRIPTIONS:
            sent = vendor.listen(heard(call, fields), fields, target.model)
        else:
            raise BadRequest(f"the provider of {target.name} has no API for {call.dialect.name}", param="model")
        return _request(sent, settings, fields.dropped_params)

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        settings: SpeechSettings = target.settings
        vendor = settings.spoken_by
        if call.dialect.name in NATIVE:
            return native.reading(call, head, vendor)
        fields = fields_of(call)
        if call.dialect.name == SPEECH:
            asked = spoken(fields, settings.voices, vendor.formats)
            told = vendor.characters(head)
            usage = Usage(characters=len(asked.text) if told is None else told)
            sound = SoundEvents if call.ask.stream else SoundReading
            return sound(head, label=LABELS[asked.format], usage=usage)
        transcript = TranscriptEvents if call.ask.stream else TranscriptReading
        return transcript(vendor, heard(call, fields))

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        said = said_in(head.status, body)
        head = msgspec.structs.replace(head, status=said.status)
        refused = super().refusal(call, target, head, said.as_openai)
        refused.body = None  # it is in nobody else's words
        if said.code is not None and refused.code == Refused.code:
            settings: SpeechSettings = target.settings
            refused.code = settings.account.hidden(said.code.encode()).decode()
        refused.should_retry = said.code != NOTHING_LEFT
        return refused

    def listed(self, target: Target, body: bytes) -> Iterable[str]:
        settings: SpeechSettings = target.settings
        try:
            return settings.spoken_by.listed(body)
        except msgspec.DecodeError as error:
            raise ValueError(f"the provider's list of models cannot be read: {error}") from error


def _base(url: str, vendor: SpeechVendor) -> str:
    """Without what stands in all paths of the vendor: some write an address with it, and some without."""
    url = url.rstrip("/")
    return next((url.removesuffix(suffix) for suffix in vendor.suffixes if url.endswith(suffix)), url)


def _request(sent: Sent, settings: SpeechSettings, dropped: tuple[str, ...]) -> UpstreamRequest:
    try:
        endpoint = settings.account.at(settings.base_path + sent.path)
        endpoint = endpoint.with_headers({"content-type": sent.content_type})
    except ValueError as error:  # a voice is a part of the path
        raise BadRequest(f"this cannot be asked of the provider: {error}") from error
    return UpstreamRequest(endpoint, sent.body, dropped, sent.length)
