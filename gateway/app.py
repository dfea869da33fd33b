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

from gateway.config.live import Config
from gateway.contract import Dialect, Guard, Provider, Sink, Tokens, Upstream
from gateway.contract.entry import Entry
from gateway.contract.limits import Counters
from gateway.control.about import OpenApiEndpoint, RootEndpoint
from gateway.control.control import Control
from gateway.control.endpoint import paths as control_paths
from gateway.control.lifecycle import control_from, running
from gateway.control.routes import ROUTES
from gateway.dialects import CHAT, COMPLETIONS, EMBEDDINGS
from gateway.endpoints.health import AliveEndpoint, MetricsEndpoint, ReadyEndpoint
from gateway.endpoints.inference import InferenceEndpoint
from gateway.endpoints.models import ModelsEndpoint
from gateway.endpoints.router import BASES, Paths, Router, UrlPath
from gateway.errors import ConfigError, GatewayError, Stopping
from gateway.identity.callers import Callers
from gateway.identity.jwt import Identities
from gateway.identity.jwt.jwks import HttpFetch
from gateway.middleware import (
    AuthMiddleware,
    BudgetMiddleware,
    DrainMiddleware,
    EdgeMiddleware,
    ErrorsMiddleware,
    GuardMiddleware,
    LimitMiddleware,
    LogMiddleware,
    ModelMiddleware,
    ParseMiddleware,
)
from gateway.middleware.cors import cors
from gateway.middleware.failures import Failures
from gateway.plugins import MIDDLEWARES, load_plugins
from gateway.proxy.admission import Admission
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.bodies import Bodies
from gateway.proxy.dispatch import Dispatcher
from gateway.proxy.drain import Drain
from gateway.proxy.watch import Timing
from gateway.rules.routing import Health
from gateway.secrecy.sealing import Seal
from gateway.secrecy.tokens import Pepper
from gateway.settings import settings_from
from gateway.state.accounting import Accounting, accounting_from, counters_from
from gateway.state.bus import HEALTH, bus_from
from gateway.state.records import Records
from gateway.state.shared_health import SharedHealth
from gateway.state.sinks.log import LogSink
from gateway.state.stalls import Stalls
from gateway.upstream.client import HttpUpstream
from gateway.upstream.outgoing import Ways

MAX_BODY_BYTES = 20 * 1024 * 1024
LASTING_S = 1.0
DIALECTS = (CHAT, COMPLETIONS, EMBEDDINGS)
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
        sinks: where request records go; standard output unless given.
        network: who calls providers; HTTP unless given. Your own decides by itself where it may connect to.
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
    callers = Callers(
        settings.tokens,
        pepper=Pepper(pepper) if pepper else None,
        identities=Identities(fetch=HttpFetch(ways=ways)),
    )
    upstream = network or HttpUpstream(ways=ways)
    guarded = HttpUpstream(ways=ways, is_trusted=False) if network is None else None
    live = Config(
        config_path(config or settings.config),
        settings,
        callers=callers,
        seal=seal,
        guarded=guarded,
        waits=settings.database_url is not None,
        providers=providers,
    )
    kept = counters or counters_from(settings.redis_url, restore=lambda: accounting.restore())
    control = control_from(settings, live, seal, callers.pepper, kept)
    accounting = accounting_from(
        live, kept, control, keep_days=settings.ledger_days, spool_dir=settings.spool_dir, ways=ways
    )
    drain = Drain()
    records = Records([LogSink()] if sinks is None else sinks)
    known = tokens or callers
    failures = Failures()
    stalls = Stalls()
    bodies = Bodies()
    apis = (*DIALECTS, *dialects)
    third_party: list[Middleware] = [*load_plugins(MIDDLEWARES).values(), *middlewares]

    # From the inside out.
    health = Health(Random())
    bus = bus_from(settings.redis_url, HEALTH)
    admission = Admission(counters=kept, policies=lambda: live.snapshot.policies, ledger=accounting.ledger)
    dispatcher = Dispatcher(upstream, health=health, random=Random(), admit=admission.enter_target)
    app: ASGIApp = InferenceEndpoint(responder=dispatcher, timing=timing or Timing())
    if guards:
        app = GuardMiddleware(app, guards=guards)
    app = BudgetMiddleware(app, admission=admission)
    app = LimitMiddleware(app, rules=admission.holds)
    for middleware in reversed(third_party):
        app = middleware(app)
    app = ModelMiddleware(app, models=live)
    app = ParseMiddleware(app, bodies=bodies, max_body_bytes=max_body_bytes)
    app = AuthMiddleware(app, tokens=known, failures=failures)
    app = DrainMiddleware(app, drain=drain, max_open=max_open or max_open_by_files())

    asks = partial(AuthMiddleware, tokens=known, failures=failures)
    models = asks(ModelsEndpoint(models=live))
    ready = ReadyEndpoint(config=live, drain=drain, records=records, accounting=accounting, control=control)
    metrics = MetricsEndpoint(
        config=live,
        drain=drain,
        records=records,
        admission=admission,
        accounting=accounting,
        stalls=stalls,
        control=control,
    )
    other = Paths(
        [
            UrlPath(["GET"], "/", RootEndpoint()),
            UrlPath(["GET"], "/openapi.json", OpenApiEndpoint(dialects=apis, control=ROUTES if control else ())),
            *(UrlPath(["GET"], path, AliveEndpoint()) for path in PROBES[1:4]),
            UrlPath(["GET"], "/readyz", ready),
            UrlPath(["GET"], "/metrics", metrics),
            *(UrlPath(["GET"], base + path, models) for base in BASES for path in ("/models", "/models/{id:path}")),
            *control_paths(control, bodies=bodies, wrap=asks),
        ]
    )
    app = Router(apis, inference=app, other=other)
    app = EdgeMiddleware(app, max_body_bytes=max_body_bytes, hosts=hosts)
    app = ErrorsMiddleware(app, dialect=CHAT)
    app = cors(app, cors_origins or settings.cors_origins)
    app = LogMiddleware(app, record=records.add, quiet=PROBES)
    return Gateway(
        app,
        config=live,
        drain=drain,
        records=records,
        networks=[each for each in (upstream, guarded) if isinstance(each, HttpUpstream)],
        admission=admission,
        accounting=accounting,
        stalls=stalls,
        control=control,
        shared_health=SharedHealth(health, bus) if bus is not None else None,
    )


class Gateway:
    """The pipeline, and what has to be opened and closed around it.

    Whoever serves it runs its lifespan. Mounted into an app that does not pass the lifespan on, it opens with the first
    request; `lifespan` can then be used as, or in, the outer app's own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        config: Config,
        drain: Drain,
        records: Records,
        networks: Sequence[HttpUpstream],
        admission: Admission,
        accounting: Accounting,
        stalls: Stalls,
        control: Control | None = None,
        shared_health: SharedHealth | None = None,
    ) -> None:
        self.app = app
        self.admission = admission
        self.accounting = accounting
        self.stalls = stalls
        self.shared_health = shared_health
        self.control = control
        self.drain = drain
        self.models = config
        self.config = config
        self.records = records
        self._networks = networks
        self._starting: asyncio.Task[AsyncExitStack] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
            return
        if self._loop is not asyncio.get_running_loop():
            await self._opened()
        if scope["type"] == "http":
            await self.app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

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
            if self.config.callers.identities is not None:
                stack.push_async_callback(self.config.callers.identities.close)
            if self.control is not None:
                await stack.enter_async_context(running(self.control))
            await stack.enter_async_context(self.accounting.running(self._open_bills))
            if self.shared_health is not None:
                await stack.enter_async_context(self.shared_health.sharing())
            await stack.enter_async_context(self.config.watched())
            stack.push_async_callback(self.records.close)
            for network in self._networks:
                stack.push_async_callback(network.close)
            stack.enter_context(self.stalls.watched())  # from now on somebody waits
        except BaseException:
            await stack.aclose()
            self._starting = None
            raise
        self._loop = asyncio.get_running_loop()
        return stack

    def _open_bills(self) -> Iterator[Entry]:
        """Of requests that last; others have ended before anything could be noted of them."""
        now_s = perf_counter()
        for exchange in self.drain:
            if now_s - exchange.started >= LASTING_S:
                yield from self.admission.so_far(exchange)

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
