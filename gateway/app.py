"""Makes every object and joins them. Read this first: it is the order of the house."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from gateway.batches.setup import batches_from
from gateway.config.catalogue import Catalogue
from gateway.config.live import Config
from gateway.contract import Dialect, Guard, Provider, Sink, Tokens, Upstream
from gateway.contract.entry import Entry
from gateway.contract.limits import Counters
from gateway.contract.part import Part
from gateway.control.about import OpenApiEndpoint, RootEndpoint
from gateway.control.control import Control
from gateway.control.endpoint import paths as control_paths
from gateway.control.lifecycle import (
    bookkeeping,
    control_from,
    following,
    ledger_from,
    objects_from,
    remembering,
    sinks_from,
)
from gateway.control.routes import BASE, ROUTES
from gateway.dialects import (
    ALL,
    CHAT,
    COUNT_TOKENS,
    EMBEDDINGS,
    GEMINI_COUNT,
    GEMINI_EMBEDDINGS,
    GEMINI_MODELS,
    MODERATIONS,
    NATIVE,
    NATIVE_SPEECH,
    PASSED,
    PROXY,
    REALTIME,
    RESPONSE_TOKENS,
    TUNED_MODELS,
)
from gateway.endpoints.figures import Figures, LimitFigures, TargetFigures
from gateway.endpoints.guardrails import ClaudeCodeEndpoint, GuardrailTestEndpoint, Trials
from gateway.endpoints.health import AliveEndpoint, ReadyEndpoint
from gateway.endpoints.inference import InferenceEndpoint
from gateway.endpoints.metrics import MetricsEndpoint
from gateway.endpoints.models import GEMINI_PATHS, ModelsEndpoint, SpeakingGemini
from gateway.endpoints.realtime import RealtimeEndpoint, UpgradeEndpoint
from gateway.endpoints.router import BASES, ByDialect, Paths, Router, UrlPath, speaking, websocket_paths
from gateway.errors import ConfigError, GatewayError, Stopping
from gateway.identity.callers import Callers
from gateway.identity.jwt import Identities
from gateway.identity.jwt.jwks import HttpFetch
from gateway.middleware import (
    AccountMiddleware,
    AuthMiddleware,
    BackgroundMiddleware,
    BudgetMiddleware,
    ContinueMiddleware,
    DrainMiddleware,
    EdgeMiddleware,
    ErrorsMiddleware,
    FileReferencesMiddleware,
    GuardMiddleware,
    KeptMiddleware,
    LimitMiddleware,
    LogMiddleware,
    ModelMiddleware,
    ParseMiddleware,
    RememberMiddleware,
    SessionKeyMiddleware,
)
from gateway.middleware.cors import cors
from gateway.middleware.failures import Failures
from gateway.plugins import MIDDLEWARES, load_plugins
from gateway.providers.translated import Translated
from gateway.proxy.account import AccountResponder
from gateway.proxy.admission import Admission
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.bodies import Bodies
from gateway.proxy.calls import CallResponder
from gateway.proxy.checks import Reach
from gateway.proxy.content import ContentMiddleware
from gateway.proxy.dispatch import Dispatcher
from gateway.proxy.drain import Drain
from gateway.proxy.estimates import EstimateResponder
from gateway.proxy.exchange import Exchange
from gateway.proxy.finished import BatchBills, target_of
from gateway.proxy.guard import GuardResponder
from gateway.proxy.kept import Shelf
from gateway.proxy.minting import MintingResponder
from gateway.proxy.responder import Responder
from gateway.proxy.session import SessionTiming
from gateway.proxy.session_keys import SessionKeys
from gateway.proxy.spool import Disk
from gateway.proxy.standing import Standing
from gateway.proxy.tracing import Tracing
from gateway.proxy.watch import Timing
from gateway.rules.metadata import MetadataRules
from gateway.rules.routing import Health
from gateway.secrecy.sealing import Seal
from gateway.secrecy.tokens import Pepper
from gateway.settings import settings_from
from gateway.state.bus import HEALTH, bus_from
from gateway.state.contents import Contents
from gateway.state.counters import counters_from
from gateway.state.ledger import restore
from gateway.state.model_lists import ModelLists
from gateway.state.records import Records
from gateway.state.shared_health import SharedHealth
from gateway.state.sinks.log import LogSink
from gateway.state.stalls import Stalls
from gateway.state.telemetry.tally import Tally
from gateway.state.telemetry.telemetry import Telemetry
from gateway.translators.gemini.embeddings import ToEmbeddings
from gateway.upstream.client import HttpUpstream
from gateway.upstream.outgoing import Ways
from gateway.wire.responses import COMPACTION, COMPLETION, RESPONSE, RESPONSES, TOKENS
from gateway.wire.session_config import CALL, KEYS

MAX_BODY_BYTES = 20 * 1024 * 1024
LASTING_S = 1.0
ESTIMATES = {each.name: each.estimate for each in (COUNT_TOKENS, RESPONSE_TOKENS, GEMINI_COUNT)}
ASKED_FOR: Mapping[str, Dialect] = {"chat": CHAT, "moderation": MODERATIONS}
"""In which APIs guardrails ask models."""
PROBES = ("/", "/healthz", "/health", "/api/llm/health", "/readyz", "/metrics")

Middleware = Callable[[ASGIApp], ASGIApp]


def build_app(
    config: str | Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    middlewares: Sequence[Middleware] = (),
    guards: Sequence[Guard] = (),
    dialects: Sequence[Dialect] = (),
    providers: Sequence[Provider] = (),
    counters: Counters | None = None,
    tokens: Tokens | None = None,
    sinks: Sequence[Sink] | None = None,
    network: Upstream | None = None,
    timing: Timing | None = None,
    session_timing: SessionTiming | None = None,
    hosts: Collection[str] = (),
    cors_origins: Collection[str] = (),
    max_body_bytes: int = MAX_BODY_BYTES,
    max_open: int | None = None,
) -> "Gateway":
    """The gateway as an ASGI app, to be served alone or mounted into another.

    Args:
        config: a manifest file or a directory of them. None: `GATEWAY_CONFIG`, else `./gateway.yaml` if it is there,
            else an account for each vendor key in the environment, and the model `demo/echo`.
        environ: `os.environ` unless given.
        middlewares: of your own, from the outside in. They run once caller and call are known.
        dialects: APIs of your own for clients, besides those that are built in.
        providers: of your own, besides those that are installed.
        sinks: where request records go; standard output unless given. Besides, they go to the database if there is
            one, and to the sinks that the environment asks for.
        network: who calls providers; HTTP unless given. Your own decides by itself where it may connect to, and you
            close it.
        hosts: names the gateway answers to; empty means any.
        cors_origins: of pages in browsers that may call it, as in `https://chat.example.com`, or `*` alone; else those
            in `GATEWAY_CORS_ORIGINS`, with commas between. None unless given.
        max_open: requests served at once; what the limit on open files allows unless given.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    settings = settings_from(os.environ if environ is None else environ)
    ways = Ways(settings.egress, settings.proxies)
    pepper = settings.pepper.reveal().encode() if settings.pepper is not None else b""
    seal = Seal(pepper)
    identities = Identities(fetch=HttpFetch(ways=ways))
    callers = Callers(settings.tokens, pepper=Pepper(pepper) if pepper else None, identities=identities)
    http, guarded = HttpUpstream(ways=ways), HttpUpstream(ways=ways, is_trusted=False)
    live = Config(
        config_path(config or settings.config),
        settings,
        callers=callers,
        seal=seal,
        guarded=guarded if network is None else None,
        waits=settings.database_url is not None,
        providers=providers,
    )
    kept: Counters = counters or counters_from(settings.redis_url, restore=lambda: restore(ledger, kept))
    control = control_from(settings, live, seal, callers.pepper, kept)
    ledger = ledger_from(settings, control)
    objects = objects_from(control)
    drain = Drain()
    catalogue = Catalogue(live)
    telling = settings.telemetry
    tally = Tally(catalogue.described, metadata_keys=telling.metadata_keys, by_user=telling.by_user)
    telemetry = Telemetry(tally, telling, config=lambda: live.snapshot.otel, ways=ways)
    records = Records(
        [*([LogSink()] if sinks is None else sinks), telemetry],
        lasting=sinks_from(settings, control),
        spool=settings.spool_dir / "records" if settings.spool_dir is not None else None,
    )
    if control is not None:
        control.streams.is_stopping = lambda: drain.is_stopping
    known = tokens or callers
    failures = Failures()
    bodies = Bodies()
    apis = (*ALL, *dialects)
    third_party: list[Middleware] = [*load_plugins(MIDDLEWARES).values(), *middlewares]

    batches = batches_from(settings, control, objects, live, drain, dialects=apis, app=lambda: lines)

    # From the inside out.
    health = Health(Random())
    bus = bus_from(settings.redis_url, HEALTH)
    admission = Admission(counters=kept, policies=lambda: live.snapshot.policies, ledger=ledger)
    tracing = Tracing(telling.traced_accounts, sampling=telling.sampling) if telling.traced_accounts else None
    dispatcher = Dispatcher(
        network or http,
        health=health,
        random=Random(),
        admit=admission.enter_target,
        tracing=tracing,
        stand_ins={GEMINI_EMBEDDINGS.name: partial(Translated, through=ToEmbeddings(), dialect=EMBEDDINGS)},
    )
    estimating = EstimateResponder(dispatcher, estimates=ESTIMATES)
    reach = Reach(network or http, ask=dispatcher.ask, find=live.find_real, dialects=ASKED_FOR)
    responder = GuardResponder(
        estimating, rules=lambda: live.snapshot.guards, reach=reach, may_use=live.may_use_guardrails
    )
    standing = Standing(tokens=known, models=live, admission=admission)
    sessions = RealtimeEndpoint(
        responder=responder,
        timing=session_timing or SessionTiming(),
        count=admission.count,
        check=standing.check,
    )
    batch_bills = BatchBills(
        admission, caller_of=callers.of_subject, target_of=lambda *of: target_of(live.snapshot.targets, *of)
    )
    of_account = AccountResponder(dispatcher, objects=objects, ask=dispatcher.ask, batch_ended=batch_bills.finished)
    session_keys = SessionKeys(pepper)
    by_dialect: dict[str, Responder] = {KEYS: MintingResponder(responder, keys=session_keys)}
    app: ASGIApp = InferenceEndpoint(
        responder=responder,
        timing=timing or Timing(),
        by_account=of_account,
        apart=by_dialect,
        sessions=sessions,
    )
    if guards:
        app = GuardMiddleware(app, guards=guards)
    app = BudgetMiddleware(app, admission=admission)
    app = LimitMiddleware(app, rules=admission.holds)
    for middleware in reversed(third_party):
        app = middleware(app)
    contents = Contents(control.records) if control is not None and control.records is not None else None
    if contents is not None:
        app = ContentMiddleware(app, rules=lambda: live.snapshot.logging, keep=contents.add)
    stand_in = batches.local.standing_in if batches is not None else None
    app = FileReferencesMiddleware(app, objects=objects)
    by_account = AccountMiddleware(app, models=live, objects=objects, stand_in=stand_in)
    max_open, large, disk = max_open or max_open_by_files(), asyncio.Lock(), Disk(settings.upload_disk_bytes)
    draining = partial(DrainMiddleware, drain=drain, max_open=max_open)
    parsing = partial(ParseMiddleware, bodies=bodies, max_body_bytes=max_body_bytes, disk=disk, large=large)
    shelf = Shelf(objects, seal, days=settings.responses_days)
    storing = RememberMiddleware(app, shelf=shelf)
    logging = partial(LogMiddleware, record=records.add, rules=lambda: live.snapshot.logging)
    background = BackgroundMiddleware(storing, inner=logging(draining(app)), shelf=shelf)
    calls = CallResponder(responder, logging(draining(app)), dialect=REALTIME, shelf=shelf, ask=dispatcher.ask)
    by_dialect[CALL] = calls

    def metadata() -> MetadataRules:
        return live.snapshot.metadata

    continuing = parsing(ContinueMiddleware(background, models=live, metadata=metadata, shelf=shelf))
    about = partial(KeptMiddleware, ask=dispatcher.ask, cancel=background.cancel)
    keeping = parsing(about(app, models=live, metadata=metadata, shelf=shelf))
    app = parsing(ModelMiddleware(app, models=live, by_account=by_account, metadata=metadata, storing=storing))
    apart: dict[str, ASGIApp] = {
        **dict.fromkeys((RESPONSES, TOKENS, COMPACTION), continuing),
        **dict.fromkeys((RESPONSE, COMPLETION), keeping),
    }
    lines = logging(ErrorsMiddleware(draining(ByDialect(app, apart=apart)), dialect=CHAT))

    asks = partial(AuthMiddleware, tokens=known, failures=failures)

    def admitted(app: ASGIApp) -> ASGIApp:
        return draining(asks(app))

    by_key = SessionKeyMiddleware(app, other=asks(app), keys=session_keys, tokens=known, failures=failures)
    app, apart = admitted(app), {name: admitted(each) for name, each in apart.items()}
    apart[CALL] = draining(by_key)

    upgrade = asks(UpgradeEndpoint())
    lists = ModelLists(network or http, targets=lambda: live.snapshot.targets)
    models = asks(ModelsEndpoint(models=live, listed=lists.names))
    gemini = partial(SpeakingGemini, models, dialect=GEMINI_MODELS)
    any_models, gemini_models = gemini(is_known=False), gemini(is_known=True)
    trials = Trials(rules=lambda: live.snapshot.guards, reach=reach, may_use=live.may_use_guardrails, bodies=bodies)
    hooks = asks(ClaudeCodeEndpoint(trials))
    parts: list[Part] = [
        identities,
        *following(control),
        objects,
        *bookkeeping(settings, kept, control, ledger, bills=partial(open_bills, drain, admission)),
        *((SharedHealth(health, bus),) if bus is not None else ()),
        live,
        telemetry,  # before the records, which are closed first and hand it the last of them
        records,
        *([contents] if contents is not None else ()),
        *remembering(settings, control),
        http,
        guarded,
        lists,
        background,
        calls,
        Stalls(),  # from now on somebody waits
        LimitFigures(admission),
        TargetFigures(health, is_configured=lambda name: bool(catalogue.described(name)[0]), clock=perf_counter),
        *((batches.runner,) if batches is not None else ()),
    ]
    native = (*NATIVE, *NATIVE_SPEECH, PASSED, PROXY)
    tuned = speaking(TUNED_MODELS, app)
    described = OpenApiEndpoint(
        dialects=(*apis, TUNED_MODELS), passed=native, sessions=(REALTIME,), control=ROUTES if control else ()
    )
    figures = telemetry.measured = Figures(parts, drain=drain)
    other = Paths(
        [
            UrlPath(["GET"], "/", RootEndpoint()),
            UrlPath(["GET"], "/openapi.json", described),
            *(UrlPath(["GET"], path, AliveEndpoint()) for path in PROBES[1:4]),
            UrlPath(["GET"], "/readyz", ReadyEndpoint(parts, drain=drain, config=live.report)),
            UrlPath(["GET"], "/metrics", MetricsEndpoint(figures)),
            *(UrlPath(["GET"], base + path, any_models) for base in BASES for path in ("/models", "/models/{id:path}")),
            *(UrlPath(["DELETE"], f"{base}/models/{{id:path}}", tuned) for base in BASES),
            *(UrlPath(["GET"], base + path, gemini_models) for base in BASES for path in GEMINI_PATHS),
            *(UrlPath(["POST"], f"{base}/hooks/claude-code", hooks) for base in BASES),
            UrlPath(["POST"], f"{BASE}/guardrails/test", asks(GuardrailTestEndpoint(trials))),
            *control_paths(control, bodies=bodies, wrap=asks),
            *(UrlPath(["GET"], path, upgrade) for path in websocket_paths(REALTIME)),
        ]
    )
    realtime = speaking(REALTIME, draining(by_key))
    websockets = Paths([UrlPath(["GET"], path, realtime) for path in websocket_paths(REALTIME)])
    app = Router((*apis, *native), inference=app, websockets=websockets, other=other, apart=apart)
    largest = max(max_body_bytes, *(dialect.max_body_bytes or 0 for dialect in apis))
    app = EdgeMiddleware(app, max_body_bytes=largest, hosts=hosts)
    app = ErrorsMiddleware(app, dialect=CHAT)
    app = cors(app, cors_origins or settings.cors_origins)
    app = logging(app, quiet=PROBES)
    return Gateway(app, parts, drain=drain, config=live, admission=admission, control=control)


class Gateway:
    """The pipeline, and the parts that have to be opened and closed around it.

    Whoever serves it runs its lifespan. Mounted into an app that does not pass the lifespan on, it opens with the first
    request; `lifespan` can then be used as, or in, the outer app's own.

    Args:
        parts: opened in this order, and closed the other way round.
    """

    def __init__(
        self,
        app: ASGIApp,
        parts: Sequence[Part],
        *,
        drain: Drain,
        config: Config,
        admission: Admission,
        control: Control | None = None,
    ) -> None:
        self.app = app
        self.parts = parts
        self.drain = drain
        self.models = config
        self.config = config
        self.admission = admission
        self.control = control
        self._starting: asyncio.Task[AsyncExitStack] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
            return
        if self._loop is not Exchange.of(scope).loop:
            await self._opened()
        await self.app(scope, receive, send)

    async def open(self) -> None:
        """For whoever closes it, too; given up when it is cancelled. Raises as `_opened` does."""
        try:
            await self._opened()
        except asyncio.CancelledError:
            await self.close()
            raise

    async def _opened(self) -> None:
        """Who comes while it is being opened waits for that, and has its error; the next to come tries again.

        Raises:
            ConfigError, Unavailable: what keeps it from starting.
            Stopping: it was closed meanwhile.
            RuntimeError: it is open in another event loop, where all that it holds on to stays.
        """
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        starting = self._starting
        if starting.get_loop() is not asyncio.get_running_loop():
            where = "one is needed for each loop; in tests, `with TestClient(app) as client` keeps to one loop"
            raise RuntimeError(f"this gateway is open in another event loop: {where}")
        try:
            await asyncio.shield(starting)  # the first to come may leave before the others
        except asyncio.CancelledError:
            if starting.cancelled():
                raise Stopping("the gateway was closed while it started; ask again", retry_after_s=1) from None
            raise

    async def _start(self) -> AsyncExitStack:
        stack = AsyncExitStack()
        try:
            for part in self.parts:
                await stack.enter_async_context(part.running())
        except BaseException:
            await stack.aclose()
            self._starting = None
            raise
        self._loop = asyncio.get_running_loop()
        return stack

    async def close(self) -> None:
        starting = self._starting
        if starting is None:
            return
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
        self._starting = self._loop = None
        if not starting.cancelled() and starting.exception() is None:
            await starting.result().aclose()

    @asynccontextmanager
    async def lifespan(self, _: Any = None) -> AsyncIterator[None]:
        """For an outer app: `Starlette(..., lifespan=gateway.lifespan)`."""
        await self.open()
        try:
            yield
        finally:
            await self.close()

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.open()
        except (ConfigError, GatewayError) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})


def open_bills(drain: Drain, admission: Admission) -> Iterator[Entry]:
    """Of requests that last; others have ended before anything could be noted of them."""
    now_s = perf_counter()
    for exchange in drain:
        if now_s - exchange.started >= LASTING_S:
            yield from admission.so_far(exchange)


def config_path(chosen: str | Path | None) -> Path | None:
    """The file or directory to read, or None when there is none."""
    if chosen:
        return Path(chosen)
    default = Path("gateway.yaml")
    return default if default.is_file() else None


def max_open_by_files() -> int:
    """A relayed request holds two open files, the client's and the provider's. Some are kept for all the rest."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, (soft - 64) // 2)
