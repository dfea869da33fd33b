"""Makes every object and joins them. Read this first: it is the order of the house."""

import asyncio
import os
import resource
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter

from gateway.batches.check import InputCheck
from gateway.batches.setup import batches_from, watching_from
from gateway.batches.watching import Watching
from gateway.config.catalogue import Catalogue
from gateway.config.live import Config
from gateway.contract import Dialect, Guard, Provider, Sink, Target, Tokens, Upstream
from gateway.contract.entry import Entry
from gateway.contract.limits import Counters
from gateway.contract.objects import Objects
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
    MAKE_RESPONSE,
    MODERATIONS,
    NATIVE,
    NATIVE_SPEECH,
    PASSED,
    PROXY,
    REALTIME,
    RESPONSE_TOKENS,
    TUNED_MODELS,
)
from gateway.endpoints.claude_code import ClaudeCodeEndpoint
from gateway.endpoints.figures import Figures, LimitFigures, TargetFigures
from gateway.endpoints.guardrails import GuardrailTestEndpoint, Trials
from gateway.endpoints.health import AliveEndpoint, ReadyEndpoint
from gateway.endpoints.inference import InferenceEndpoint
from gateway.endpoints.metrics import MetricsEndpoint
from gateway.endpoints.models import GEMINI_PATHS, ModelsEndpoint, SpeakingGemini
from gateway.endpoints.realtime import RealtimeEndpoint, UpgradeEndpoint
from gateway.endpoints.response_sockets import ResponseSocketsEndpoint
from gateway.endpoints.router import BASES, ByDialect, Paths, Router, UrlPath, speaking, websocket_paths
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
from gateway.proxy.asgi import ASGIApp
from gateway.proxy.bodies import Bodies
from gateway.proxy.calls import CallResponder
from gateway.proxy.checks import Reach
from gateway.proxy.content import ContentMiddleware, Kept
from gateway.proxy.dispatch import Dispatcher
from gateway.proxy.drain import Drain
from gateway.proxy.estimates import EstimateResponder
from gateway.proxy.guard import GuardResponder
from gateway.proxy.kept import Shelf
from gateway.proxy.minting import MintingResponder
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
from gateway.servers.gateway import Gateway
from gateway.settings import Settings, settings_from
from gateway.state.bus import HEALTH, bus_from
from gateway.state.contents import Contents
from gateway.state.counters import counters_from
from gateway.state.ledger import Ledger, restore
from gateway.state.model_lists import ModelLists
from gateway.state.records import Records
from gateway.state.shared_health import SharedHealth
from gateway.state.sinks.log import LogSink
from gateway.state.spool import check_directory
from gateway.state.stalls import Stalls
from gateway.state.telemetry.tally import Tally
from gateway.state.telemetry.telemetry import Telemetry
from gateway.translators.gemini.embeddings import ToEmbeddings
from gateway.translators.responses.prepared import prepared
from gateway.translators.shapes import ChatShapes
from gateway.upstream.client import HttpUpstream
from gateway.upstream.outgoing import Ways
from gateway.wire.pass_through import PASS_THROUGH
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
) -> Gateway:
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
    if settings.spool_dir is not None:
        check_directory(settings.spool_dir)
    core = core_of(
        settings, config, providers=providers, counters=counters, tokens=tokens, sinks=sinks, network=network
    )
    apis = (*ALL, *dialects)
    max_open = max_open or max_open_by_files()
    batches = batches_from(
        settings, core.control, core.objects, core.live, core.drain, dialects=apis, app=lambda: way.lines
    )
    answering = answering_of(
        core,
        timing=timing or Timing(),
        session_timing=session_timing or SessionTiming(),
        hear=lambda: way.hearing,
    )
    way = way_of(
        core,
        answering,
        middlewares=[*load_plugins(MIDDLEWARES).values(), *middlewares],
        guards=guards,
        max_body_bytes=max_body_bytes,
        max_open=max_open,
        stand_in=batches.local.standing_in if batches is not None else None,
    )
    lists = ModelLists(core.network, targets=lambda: core.live.snapshot.targets)
    parts = parts_of(core, answering, way, lists=lists, runner=batches.runner if batches is not None else None)
    native = (*NATIVE, *NATIVE_SPEECH, PASSED, PROXY)
    described = OpenApiEndpoint(
        dialects=(*apis, TUNED_MODELS),
        passed=native,
        sessions=(REALTIME,),
        control=ROUTES if core.control is not None else (),
    )
    websockets = websockets_of(core, way, max_open=max_open)
    tuned = speaking(TUNED_MODELS, way.app)
    other = other_paths(core, answering, parts, lists=lists, described=described, tuned=tuned)
    app: ASGIApp = Router((*apis, *native), inference=way.app, websockets=websockets, other=other, apart=way.apart)
    largest = max(max_body_bytes, *(dialect.max_body_bytes or 0 for dialect in apis))
    app = EdgeMiddleware(app, max_body_bytes=largest, hosts=hosts)
    app = ErrorsMiddleware(app, dialect=CHAT)
    app = cors(app, cors_origins or settings.cors_origins)
    app = core.logging(app, quiet=PROBES)
    return Gateway(app, parts, drain=core.drain, config=core.live, admission=answering.admission, control=core.control)


@dataclass(frozen=True, kw_only=True)
class Core:
    """What all requests share: what is configured, who is known, what lasts, what is written down."""

    settings: Settings
    seal: Seal
    identities: Identities
    callers: Callers
    live: Config
    counters: Counters
    control: Control | None
    ledger: Ledger | None
    objects: Objects
    shelf: Shelf
    drain: Drain
    catalogue: Catalogue
    telemetry: Telemetry
    records: Records
    bodies: Bodies
    http: HttpUpstream
    guarded: HttpUpstream
    """For addresses that users chose."""
    network: Upstream
    tokens: Tokens
    session_keys: SessionKeys
    asks: Callable[[ASGIApp], ASGIApp]
    """Lets those through who are known."""
    asks_for_key: Callable[..., ASGIApp]
    """Those who have a key for sessions."""
    logging: Callable[..., ASGIApp]


def core_of(
    settings: Settings,
    config: str | Path | None,
    *,
    providers: Sequence[Provider],
    counters: Counters | None,
    tokens: Tokens | None,
    sinks: Sequence[Sink] | None,
    network: Upstream | None,
) -> Core:
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
    drain = Drain()
    if control is not None:
        control.streams.is_stopping = lambda: drain.is_stopping
    catalogue = Catalogue(live)
    telling = settings.telemetry
    tally = Tally(catalogue.described, metadata_keys=telling.metadata_keys, by_user=telling.by_user)
    telemetry = Telemetry(tally, telling, config=lambda: live.snapshot.otel, ways=ways)
    records = Records(
        [*([LogSink()] if sinks is None else sinks), telemetry],
        lasting=sinks_from(settings, control),
        spool=settings.spool_dir / "records" if settings.spool_dir is not None else None,
    )
    objects = objects_from(control)
    known, failures, session_keys = tokens or callers, Failures(), SessionKeys(pepper)
    return Core(
        settings=settings,
        seal=seal,
        identities=identities,
        callers=callers,
        live=live,
        counters=kept,
        control=control,
        ledger=ledger,
        objects=objects,
        shelf=Shelf(objects, seal, days=settings.responses_days),
        drain=drain,
        catalogue=catalogue,
        telemetry=telemetry,
        records=records,
        bodies=Bodies(),
        http=http,
        guarded=guarded,
        network=network or http,
        tokens=known,
        session_keys=session_keys,
        asks=partial(AuthMiddleware, tokens=known, failures=failures),
        asks_for_key=partial(SessionKeyMiddleware, keys=session_keys, tokens=known, failures=failures),
        logging=partial(LogMiddleware, record=records.add, rules=lambda: live.snapshot.logging),
    )


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Who answers requests that were let in."""

    health: Health
    admission: Admission
    dispatcher: Dispatcher
    reach: Reach
    calls: CallResponder
    endpoint: InferenceEndpoint
    watching: Watching
    """Of batches at providers, until they are billed."""


def answering_of(
    core: Core, *, timing: Timing, session_timing: SessionTiming, hear: Callable[[], ASGIApp]
) -> Answering:
    """`hear`: what sessions beside calls go through."""
    live, telling = core.live, core.settings.telemetry
    health = Health(Random())
    admission = Admission(counters=core.counters, policies=lambda: live.snapshot.policies, ledger=core.ledger)
    dispatcher = Dispatcher(
        core.network,
        health=health,
        random=Random(),
        admit=admission.enter_target,
        tracing=Tracing(telling.traced_accounts, sampling=telling.sampling) if telling.traced_accounts else None,
        stand_ins={GEMINI_EMBEDDINGS.name: partial(Translated, through=ToEmbeddings(), dialect=EMBEDDINGS)},
    )
    reach = Reach(core.network, ask=dispatcher.ask, find=live.find_real, dialects=ASKED_FOR)
    responder = GuardResponder(
        EstimateResponder(dispatcher, estimates=ESTIMATES),
        rules=lambda: live.snapshot.guards,
        reach=reach,
        may_use=live.may_use_guardrails,
    )
    watching = watching_from(
        core.control, core.objects, live, admission, open_=dispatcher.open, responder=lambda: by_account
    )
    by_account = AccountResponder(
        dispatcher,
        objects=core.objects,
        ask=dispatcher.ask,
        batch_seen=watching.seen,
        check_batch=InputCheck(objects=core.objects, open_=dispatcher.open, allows=live.allows),
    )
    calls = CallResponder(responder, hear, dialect=REALTIME, shelf=core.shelf, ask=dispatcher.ask)
    standing = Standing(tokens=core.tokens, models=live, admission=admission)
    endpoint = InferenceEndpoint(
        responder=responder,
        timing=timing,
        by_account=by_account,
        # What is passed on is guarded, whether it names a model or not.
        apart={KEYS: MintingResponder(responder, keys=core.session_keys), CALL: calls, PASS_THROUGH: responder},
        sessions=RealtimeEndpoint(
            responder=responder, timing=session_timing, count=admission.count, check=standing.check
        ),
    )
    return Answering(
        health=health,
        admission=admission,
        dispatcher=dispatcher,
        reach=reach,
        calls=calls,
        endpoint=endpoint,
        watching=watching,
    )


@dataclass(frozen=True, kw_only=True)
class Way:
    """What a request goes through behind the router."""

    app: ASGIApp
    apart: Mapping[str, ASGIApp]
    """Name of a dialect -> what its requests go through instead."""
    by_key: ASGIApp
    """For who may have a key for sessions in place of a token."""
    lines: ASGIApp
    """For the lines of batches, whose caller is known."""
    hearing: ASGIApp
    """For sessions beside calls, whose model is known as well."""
    background: BackgroundMiddleware
    contents: Contents | None


def way_of(
    core: Core,
    answering: Answering,
    *,
    middlewares: Sequence[Middleware],
    guards: Sequence[Guard],
    max_body_bytes: int,
    max_open: int,
    stand_in: Callable[[Target], Target] | None,
) -> Way:
    """From the inside out."""
    live, control, objects, admission = core.live, core.control, core.objects, answering.admission
    app: ASGIApp = answering.endpoint
    if guards:
        app = GuardMiddleware(app, guards=guards)
    app = BudgetMiddleware(app, admission=admission)
    app = LimitMiddleware(app, rules=admission.holds)
    for middleware in reversed(middlewares):
        app = middleware(app)
    contents = Contents(control.records) if control is not None and control.records is not None else None
    if contents is not None or core.settings.telemetry.tells_content:
        keep = partial(kept_by, [core.telemetry.keep, *([contents.add] if contents is not None else ())])
        app = ContentMiddleware(app, rules=lambda: live.snapshot.logging, keep=keep)
    app = FileReferencesMiddleware(app, objects=objects)
    by_account = AccountMiddleware(app, models=live, objects=objects, stand_in=stand_in)

    def draining(app: ASGIApp) -> ASGIApp:
        return DrainMiddleware(app, drain=core.drain, max_open=max_open)

    disk, large = Disk(core.settings.upload_disk_bytes), asyncio.Lock()
    shapes = {CHAT.name: ChatShapes(MAKE_RESPONSE)}

    def parsing(app: ASGIApp) -> ASGIApp:
        return ParseMiddleware(
            app, bodies=core.bodies, max_body_bytes=max_body_bytes, disk=disk, large=large, shapes=shapes
        )

    def metadata() -> MetadataRules:
        return live.snapshot.metadata

    shelf, inner = core.shelf, core.logging(draining(app))
    storing = RememberMiddleware(app, shelf=shelf)
    background = BackgroundMiddleware(storing, inner=inner, shelf=shelf)
    continuing = ContinueMiddleware(background, models=live, metadata=metadata, shelf=shelf)
    keeping = KeptMiddleware(
        app,
        models=live,
        metadata=metadata,
        shelf=shelf,
        ask=answering.dispatcher.ask,
        cancel=background.cancel,
    )
    app = parsing(ModelMiddleware(app, models=live, by_account=by_account, metadata=metadata, storing=storing))
    apart = {
        **dict.fromkeys((RESPONSES, TOKENS, COMPACTION), parsing(continuing)),
        **dict.fromkeys((RESPONSE, COMPLETION), parsing(keeping)),
    }
    by_key = draining(core.asks_for_key(app, other=core.asks(app)))
    return Way(
        app=draining(core.asks(app)),
        apart={**{name: draining(core.asks(each)) for name, each in apart.items()}, CALL: by_key},
        by_key=by_key,
        lines=core.logging(ErrorsMiddleware(draining(ByDialect(app, apart=apart)), dialect=CHAT)),
        hearing=inner,
        background=background,
        contents=contents,
    )


def parts_of(core: Core, answering: Answering, way: Way, *, lists: ModelLists, runner: Part | None) -> list[Part]:
    """In the order in which they are opened."""
    settings, control, health = core.settings, core.control, answering.health
    bus = bus_from(settings.redis_url, HEALTH)
    bills = partial(open_bills, core.drain, answering.admission)
    return [
        core.identities,
        *following(control),
        core.objects,
        *bookkeeping(settings, core.counters, control, core.ledger, bills=bills),
        *((SharedHealth(health, bus),) if bus is not None else ()),
        core.live,
        core.telemetry,  # before the records, which are closed first and hand it the last of them
        core.records,
        *((way.contents,) if way.contents is not None else ()),
        *remembering(settings, control),
        core.http,
        core.guarded,
        lists,
        way.background,
        answering.calls,
        Stalls(),  # from now on somebody waits
        LimitFigures(answering.admission),
        TargetFigures(health, is_configured=lambda name: bool(core.catalogue.described(name)[0]), clock=perf_counter),
        answering.watching,
        *((runner,) if runner is not None else ()),
    ]


def other_paths(
    core: Core,
    answering: Answering,
    parts: Sequence[Part],
    *,
    lists: ModelLists,
    described: OpenApiEndpoint,
    tuned: ASGIApp,
) -> Paths:
    """What is no inference, and has paths of its own. `tuned`: deletes models."""
    live, asks = core.live, core.asks
    upgrade = asks(UpgradeEndpoint())
    models = asks(ModelsEndpoint(models=live, listed=lists.names))
    any_models = SpeakingGemini(models, dialect=GEMINI_MODELS, is_known=False)
    gemini_models = SpeakingGemini(models, dialect=GEMINI_MODELS, is_known=True)
    trials = Trials(
        rules=lambda: live.snapshot.guards,
        reach=answering.reach,
        may_use=live.may_use_guardrails,
        admission=answering.admission,
        bodies=core.bodies,
    )
    hooks = asks(ClaudeCodeEndpoint(trials))
    figures = core.telemetry.measured = Figures(parts, drain=core.drain)
    return Paths(
        [
            UrlPath(["GET"], "/", RootEndpoint()),
            UrlPath(["GET"], "/openapi.json", described),
            *(UrlPath(["GET"], path, AliveEndpoint()) for path in PROBES[1:4]),
            UrlPath(["GET"], "/readyz", ReadyEndpoint(parts, drain=core.drain, config=live.report)),
            UrlPath(["GET"], "/metrics", MetricsEndpoint(figures)),
            *(UrlPath(["GET"], base + path, any_models) for base in BASES for path in ("/models", "/models/{id:path}")),
            *(UrlPath(["DELETE"], f"{base}/models/{{id:path}}", tuned) for base in BASES),
            *(UrlPath(["GET"], base + path, gemini_models) for base in BASES for path in GEMINI_PATHS),
            *(UrlPath(["POST"], f"{base}/hooks/claude-code", hooks) for base in BASES),
            UrlPath(["POST"], f"{BASE}/guardrails/test", asks(GuardrailTestEndpoint(trials))),
            *control_paths(core.control, bodies=core.bodies, wrap=asks),
            *(UrlPath(["GET"], path, upgrade) for path in websocket_paths(REALTIME)),
        ]
    )


def websockets_of(core: Core, way: Way, *, max_open: int) -> Paths:
    """Sessions, and responses, each of which goes the way of a request."""
    realtime = speaking(REALTIME, way.by_key)
    responses = ResponseSocketsEndpoint(
        core.logging(ErrorsMiddleware(way.apart[RESPONSES], dialect=MAKE_RESPONSE)),
        dialect=MAKE_RESPONSE,
        models=core.live,
        prepare=prepared,
        drain=core.drain,
        max_open=max_open,
    )
    known = core.asks(responses)
    return Paths(
        [
            *(UrlPath(["GET"], path, realtime) for path in websocket_paths(REALTIME)),
            *(UrlPath(["GET"], base + route, known) for base in BASES for _, route in MAKE_RESPONSE.routes),
        ]
    )


def open_bills(drain: Drain, admission: Admission) -> Iterator[Entry]:
    """Of requests that last; others have ended before anything could be noted of them."""
    now_s = perf_counter()
    for exchange in drain:
        if now_s - exchange.started >= LASTING_S:
            yield from admission.so_far(exchange)


def kept_by(keepers: Iterable[Callable[[Kept], None]], kept: Kept) -> None:
    """What was asked and answered, handed to each."""
    for keep in keepers:
        keep(kept)


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
