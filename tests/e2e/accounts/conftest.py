"""A provider with files, uploads, batches and fine-tuning, which remembers what it was sent; in OpenAI's shapes."""

import asyncio
import itertools
import json
import socket
import threading

import pytest
import uvicorn
from openai import AsyncOpenAI, OpenAI
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from gateway.wire.form import FormReader

KEY = "provider-key-of-mock"
CREATED = 1700000000


class AccountProvider:
    """`forms`: the parts of each form as they came. Nothing of one account is told from another's: it sees one key."""

    def __init__(self):
        self.numbers = itertools.count(1)
        self.forms = []
        self.seen = []
        self.files = {}
        self.contents = {}
        self.uploads = {}
        self.parts = {}
        self.batches = {}
        self.jobs = {}
        self.hangs = False
        """In the middle of the output of a batch."""
        self.fails = None
        """A status that each request gets; None: it works."""
        self.app = Starlette(
            routes=[
                Route("/v1/files", self.create_file, methods=["POST"]),
                Route("/v1/files/{id}", self.file, methods=["GET", "DELETE"]),
                Route("/v1/files/{id}/content", self.content),
                Route("/v1/uploads", self.create_upload, methods=["POST"]),
                Route("/v1/uploads/{id}/parts", self.add_part, methods=["POST"]),
                Route("/v1/uploads/{id}/complete", self.complete, methods=["POST"]),
                Route("/v1/uploads/{id}/cancel", self.cancel_upload, methods=["POST"]),
                Route("/v1/batches", self.create_batch, methods=["POST"]),
                Route("/v1/batches/{id}", self.batch),
                Route("/v1/batches/{id}/cancel", self.cancel_batch, methods=["POST"]),
                Route("/v1/fine_tuning/jobs", self.create_job, methods=["POST"]),
                Route("/v1/fine_tuning/jobs/{id}", self.job),
                Route("/v1/fine_tuning/jobs/{id}/{action:str}", self.job_action, methods=["GET", "POST"]),
            ]
        )

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self.seen.append((scope["method"], scope["raw_path"].decode(), scope["query_string"].decode()))
            if headers.get("authorization") != f"Bearer {KEY}":
                self.fails = 401
            if self.fails:
                await refusal(self.fails)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def id(self, kind):
        return f"{kind}-{next(self.numbers)}"

    # Files.

    async def form(self, request):
        reader = FormReader(request.headers["content-type"])
        body = await request.body()
        assert len(body) == int(request.headers["content-length"])
        for begin in range(0, len(body), 65536):
            reader.feed(body[begin : begin + 65536])
        parts = {part.name: part for part in reader.end().parts}
        self.forms.append([(part.name, bytes(part.data), part.filename, part.content_type) for part in parts.values()])
        return parts

    def add_file(self, data, filename, purpose):
        file = {
            "id": self.id("file"),
            "object": "file",
            "bytes": len(data),
            "created_at": CREATED,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }
        self.contents[file["id"]] = data
        return self.files.setdefault(file["id"], file)

    async def create_file(self, request):
        parts = await self.form(request)
        file = self.add_file(parts["file"].data, parts["file"].filename, parts["purpose"].data.decode())
        return JSONResponse(file)

    async def file(self, request):
        id_ = request.path_params["id"]
        if id_ not in self.files:
            return refusal(404)
        if request.method == "DELETE":
            del self.files[id_]
            return JSONResponse({"id": id_, "object": "file", "deleted": True})
        return JSONResponse(self.files[id_])

    async def content(self, request):
        data = self.contents[request.path_params["id"]]

        async def pieces():
            for begin in range(0, len(data), 10_000):
                while self.hangs and begin:
                    await asyncio.sleep(0.01)
                yield data[begin : begin + 10_000]

        headers = {"content-length": str(len(data)), "content-type": "application/octet-stream"}
        return StreamingResponse(pieces(), headers=headers)

    # Uploads.

    async def create_upload(self, request):
        asked = await request.json()
        upload = {
            "id": self.id("upload"),
            "object": "upload",
            "created_at": CREATED,
            "expires_at": CREATED + 3600,
            "status": "pending",
            "file": None,
            **{name: asked[name] for name in ("bytes", "filename", "purpose")},
        }
        return JSONResponse(self.uploads.setdefault(upload["id"], upload))

    async def add_part(self, request):
        parts = await self.form(request)
        id_, upload = self.id("part"), request.path_params["id"]
        self.parts[id_] = parts["data"].data
        return JSONResponse({"id": id_, "object": "upload.part", "created_at": CREATED, "upload_id": upload})

    async def complete(self, request):
        upload = self.uploads[request.path_params["id"]]
        data = b"".join(self.parts[id_] for id_ in (await request.json())["part_ids"])
        upload |= {"status": "completed", "file": self.add_file(data, upload["filename"], upload["purpose"])}
        return JSONResponse(upload)

    async def cancel_upload(self, request):
        assert await request.body() == b""
        upload = self.uploads[request.path_params["id"]]
        upload["status"] = "cancelled"
        return JSONResponse(upload)

    # Batches.

    async def create_batch(self, request):
        asked = await request.json()
        if asked["input_file_id"] not in self.files:
            return refusal(400)
        batch = {
            "id": self.id("batch"),
            "object": "batch",
            "created_at": CREATED,
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            **asked,
        }
        return JSONResponse(self.batches.setdefault(batch["id"], batch))

    async def batch(self, request):
        batch = self.batches.get(request.path_params["id"])
        return JSONResponse(batch) if batch else refusal(404)

    async def cancel_batch(self, request):
        batch = self.batches[request.path_params["id"]]
        batch["status"] = "cancelling"
        return JSONResponse(batch)

    def finish_batch(self, id_, data=b'{"custom_id":"1"}\n'):
        file = self.add_file(data, "out.jsonl", "batch_output")
        self.batches[id_] |= {"status": "completed", "output_file_id": file["id"]}

    # Fine-tuning.

    async def create_job(self, request):
        asked = await request.json()
        job = {
            "id": self.id("ftjob"),
            "object": "fine_tuning.job",
            "created_at": CREATED,
            "status": "queued",
            "result_files": [],
            "fine_tuned_model": None,
            "hyperparameters": {"n_epochs": "auto"},
            "organization_id": "org-1",
            "seed": 1,
            "trained_tokens": None,
            "validation_file": None,
            "error": None,
            "finished_at": None,
            **asked,
        }
        return JSONResponse(self.jobs.setdefault(job["id"], job))

    async def job(self, request):
        return JSONResponse(self.jobs[request.path_params["id"]])

    async def job_action(self, request):
        job, action = self.jobs[request.path_params["id"]], request.path_params["action"]
        if request.method == "POST":
            job["status"] = {"cancel": "cancelled", "pause": "paused", "resume": "running"}[action]
            return JSONResponse(job)
        events = [{"id": "ev-1", "object": "fine_tuning.job.event", "created_at": CREATED, "level": "info"}]
        points = [{"id": "cp-1", "object": "fine_tuning.job.checkpoint", "created_at": CREATED, "step_number": 1}]
        data = events if action == "events" else points
        data[0] |= {"message": "started", "fine_tuning_job_id": job["id"], "metrics": {}}
        data[0] |= {"fine_tuned_model_checkpoint": "ft:m:step-1"}
        return JSONResponse({"object": "list", "data": data, "has_more": False, "first_id": None, "last_id": None})

    def finish_job(self, id_):
        file = self.add_file(b"step,loss\n", "results.csv", "fine-tune-results")
        self.jobs[id_] |= {"status": "succeeded", "result_files": [file["id"]]}


def refusal(status):
    error = {"message": f"as told: {status}", "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status_code=status)


ANA_TOKEN, BO_TOKEN = "gw-ana-0123456789abcdef", "gw-bo-0123456789abcdef"
TOKENS = f"user:ana@example.com={ANA_TOKEN},user:bo@example.com={BO_TOKEN}"


def account_of(name, url):
    """With models that everybody may use."""
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "chat",
        "hosted_model_name": "real-chat",
        "url": url,
        "model_server": "openai-compatible",
        "model_types": ["chat"],
        "auth_data": {"type": "bearer-auth", "bearer_token": KEY},
    }
    return {
        "type": "provider-account/self-hosted-model",
        "name": name,
        "integrations": [model],
        "collaborators": [{"subject": "team:everyone", "role_id": "provider-account-access"}],
    }


@pytest.fixture(scope="module")
def provider():
    """Serves at `provider.url`, in a thread of its own."""
    provider = AccountProvider()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        provider.url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        server = uvicorn.Server(uvicorn.Config(provider, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        yield provider
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def config(provider):
    return json.dumps([account_of("main", provider.url)])


@pytest.fixture(scope="session")
def environ():
    return {"GATEWAY_TOKENS": TOKENS}


@pytest.fixture(scope="session")
def tokens():
    return {"ana": ANA_TOKEN, "bo": BO_TOKEN}


@pytest.fixture(scope="module")
def gateway(gateway_of_module, config, environ):
    process = gateway_of_module(config=config, environ=environ)
    yield process
    process.assert_sound()


@pytest.fixture
async def client(gateway):
    """Ana's."""
    async with AsyncOpenAI(base_url=gateway.url, api_key=ANA_TOKEN, timeout=30, max_retries=0) as client:
        yield client


@pytest.fixture
async def other_client(gateway):
    """Bo's."""
    async with AsyncOpenAI(base_url=gateway.url, api_key=BO_TOKEN, timeout=30, max_retries=0) as client:
        yield client


@pytest.fixture
def sync(gateway):
    """`await sync(lambda client: ...)`: the same by the client that blocks, in a thread."""

    async def run(job):
        def whole():
            with OpenAI(base_url=gateway.url, api_key=ANA_TOKEN, timeout=30, max_retries=0) as client:
                return job(client)

        return await asyncio.to_thread(whole)

    return run
