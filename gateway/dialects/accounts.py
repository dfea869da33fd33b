"""OpenAI's files, uploads, batches and fine-tuning: what belongs to an account, and not to a model.

Bodies need the same of their content as the provider does, and so are not looked at here, but for the ids in them.

Source: openai-python 3.54 (resources/files.py, uploads, batches.py, fine_tuning/jobs); platform.openai.com/docs/
api-reference; read 2026-11.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.contract import Ask, Call, FormBody, Head, JsonBody, Reading, Request
from gateway.contract.objects import Action, ObjectAsk, ObjectKind, ObjectType
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.fields import MAX_MODEL_CHARS, text_of
from gateway.dialects.forms import MAX_FORM_BYTES
from gateway.errors import BadRequest
from gateway.wire.account_apis import ACCOUNT_HEADER
from gateway.wire.plain import FreeObject, PlainReading
from gateway.wire.session_config import ACTIONS, ANY_CALL, HANGUP, REFER, REJECT

FILE = ObjectType(kind=ObjectKind.FILE, filters=("purpose",), max_listed=1000)
UPLOAD = ObjectType(kind=ObjectKind.UPLOAD, inner=("file",))
BATCH = ObjectType(
    kind=ObjectKind.BATCH,
    given=("input_file_id",),
    made=("output_file_id", "error_file_id"),
    final=frozenset({"completed", "failed", "expired", "cancelled"}),
)
JOB = ObjectType(
    kind=ObjectKind.TUNING_JOB,
    given=("training_file", "validation_file"),
    made=("result_files",),
    models=("fine_tuned_model",),
    final=frozenset({"succeeded", "failed", "cancelled"}),
)
MODEL = ObjectType(kind=ObjectKind.MODEL)

MAX_OBJECT_BYTES = 64 * 1024
"""Of one of them as JSON, where some hundred to a few thousand are usual."""


class AccountApi(OpenAIErrors):
    """A `Dialect`, or the part of one whose bodies are of one kind.

    Args:
        name: of the API, as in `gateway.wire.account_apis.ROOTS`.
        routes: (method, path) -> what is done there.
    """

    model_type = ""
    headers = frozenset({ACCOUNT_HEADER})

    def __init__(
        self,
        name: str,
        object_type: ObjectType,
        routes: Mapping[tuple[str, str], Action],
        *,
        accepts: type[Body] | None = None,
    ) -> None:
        self.name = name
        self.object_type = object_type
        self.actions = routes
        self.routes: Sequence[tuple[str, str]] = tuple(routes)
        self.accepts: type[Body] | None = accepts
        self.max_body_bytes: int | None = MAX_FORM_BYTES if accepts is FormBody else None

    def parse(self, request: Request) -> Ask:
        fields = request.body.fields if isinstance(request.body, JsonBody) else {}
        for name in fields:
            if name not in self.object_type.given and name.lower() in self.object_type.given:  # some servers read both
                raise BadRequest(f'the field "{name.lower()}" is written in lower case', param=name.lower())
        named = {name: text_of(fields, name) for name in self.object_type.given}
        asked = ObjectAsk(
            api=self.name,
            type=self.object_type,
            action=self.actions["GET" if request.method == "HEAD" else request.method, request.route],
            id=request.path_params.get("id"),
            files={name: id_ for name, id_ in named.items() if id_ is not None},
            model=(text_of(fields, "model") or "")[:MAX_MODEL_CHARS] or None,
        )
        return Ask(None, has_output=False, account=request.headers.get(ACCOUNT_HEADER) or None, object=asked)

    def reading(self, call: Call, head: Head) -> Reading:
        """What is told is free: what a batch costs is billed apart, once it has ended."""
        asked = call.ask.object
        assert asked is not None
        return _FreeReading() if asked.action == "pass" else FreeObject(MAX_OBJECT_BYTES)


class _FreeReading(PlainReading):
    def usage(self) -> Usage:
        return Usage()


class TunedModels(AccountApi):
    """Models that came of a caller's jobs; by the provider's name, before which that of the account may stand."""

    def parse(self, request: Request) -> Ask:
        account, slash, id_ = request.path_params["id"].rpartition("/")
        ask = super().parse(msgspec.structs.replace(request, path_params={"id": id_}))
        return msgspec.structs.replace(ask, account=account or ask.account) if slash else ask


class CallActions(AccountApi):
    """What is done with a call. Of one that comes in by SIP the provider tells somebody else, who may reject it."""

    def parse(self, request: Request) -> Ask:
        ask = super().parse(request)
        if ask.object is None or request.route != REJECT:
            return ask
        return msgspec.structs.replace(ask, object=msgspec.structs.replace(ask.object, may_be_new=True))


TUNED_MODELS = TunedModels("models", MODEL, {("DELETE", "/models/{id}"): "delete"})

ACCOUNT_APIS = (
    AccountApi(
        "files",
        FILE,
        {
            ("POST", "/files"): "create",
            ("GET", "/files"): "list",
            ("GET", "/files/{id}"): "read",
            ("DELETE", "/files/{id}"): "delete",
            ("GET", "/files/{id}/content"): "pass",
        },
        accepts=FormBody,
    ),
    AccountApi(
        "uploads",
        UPLOAD,
        {("POST", "/uploads"): "create", ("POST", "/uploads/{id}/complete"): "read"},
        accepts=JsonBody,
    ),
    AccountApi("uploads", UPLOAD, {("POST", "/uploads/{id}/parts"): "pass"}, accepts=FormBody),
    AccountApi("uploads", UPLOAD, {("POST", "/uploads/{id}/cancel"): "read"}),
    AccountApi(
        "batches",
        BATCH,
        {
            ("POST", "/batches"): "create",
            ("GET", "/batches"): "list",
            ("GET", "/batches/{id}"): "read",
            ("GET", "/batches/{id}/output"): "output",
        },
        accepts=JsonBody,
    ),
    AccountApi("batches", BATCH, {("POST", "/batches/{id}/cancel"): "read"}),
    CallActions(ACTIONS, ANY_CALL, {("POST", REJECT): "pass", ("POST", REFER): "pass"}, accepts=JsonBody),
    CallActions(ACTIONS, ANY_CALL, {("POST", HANGUP): "pass"}),
    AccountApi(
        "fine_tuning",
        JOB,
        {
            ("POST", "/fine_tuning/jobs"): "create",
            ("GET", "/fine_tuning/jobs"): "list",
            ("GET", "/fine_tuning/jobs/{id}"): "read",
            ("GET", "/fine_tuning/jobs/{id}/events"): "pass",
            ("GET", "/fine_tuning/jobs/{id}/checkpoints"): "pass",
        },
        accepts=JsonBody,
    ),
    AccountApi(
        "fine_tuning",
        JOB,
        {
            ("POST", "/fine_tuning/jobs/{id}/cancel"): "read",
            ("POST", "/fine_tuning/jobs/{id}/pause"): "read",
            ("POST", "/fine_tuning/jobs/{id}/resume"): "read",
        },
    ),
)
