"""What is read of the environment, and what is said of that which cannot be used."""

from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest

from gateway import build_app
from gateway.contract import Caller
from gateway.contract.egress import Egress
from gateway.errors import ConfigError
from gateway.secrecy.secret import Secret
from gateway.settings import ADMIN, Settings, settings_from
from gateway.upstream.proxies import Proxies

LONG = "0123456789abcdef"
ANA, BO = Caller("user:ana@example.com"), Caller("user:bo@example.com")
SQLITE = "sqlite:///gateway.db"
NO_PEPPER = (
    "has to be set, to at least 16 characters: it keeps the tokens and secrets in the database safe. All replicas need "
    "the same one; `openssl rand -hex 32` makes one"
)
WRONG_FORM = "is not of the form user:name@example.com=token"
HOLDS = "holds a space, or a character that cannot be seen"


def faults_of(environ, **options):
    with pytest.raises(ConfigError) as refused:
        settings_from(environ, **options)
    return [(fault.path or fault.file, fault.message) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("environ", "field", "value"),
    [
        ({"GATEWAY_CONFIG": "manifests"}, "config", Path("manifests")),
        ({"GATEWAY_ADMIN_TOKEN": LONG}, "tokens", ((Secret(LONG), ADMIN),)),
        (
            {"GATEWAY_TOKENS": f"user:Ana@Example.com={LONG}, virtualaccount:ci=ci={LONG},,serviceaccount:a=a-{LONG}"},
            "tokens",
            (
                (Secret(LONG), ANA),
                (Secret(f"ci={LONG}"), Caller("virtualaccount:ci")),
                (Secret(f"a-{LONG}"), Caller("virtualaccount:a")),
            ),
        ),
        ({"GATEWAY_DATABASE_URL": SQLITE, "GATEWAY_PEPPER": LONG}, "database_url", Secret(SQLITE)),
        ({"GATEWAY_PEPPER": LONG}, "pepper", Secret(LONG)),
        ({"GATEWAY_PEPPER": "short"}, "pepper", Secret("short")),
        ({"GATEWAY_REDIS_URL": "redis://h:6379/0"}, "redis_url", Secret("redis://h:6379/0")),
        ({"GATEWAY_SPOOL_DIR": "/var/spool"}, "spool_dir", Path("/var/spool")),
        ({"GATEWAY_LEDGER_DAYS": "30"}, "ledger_days", 30),
        ({"GATEWAY_RESPONSES_DAYS": "0"}, "responses_days", 0),
        ({"GATEWAY_UPLOAD_DISK": "1000"}, "upload_disk_bytes", 1000),
        ({"GATEWAY_FILES_DIR": "/var/files"}, "files_dir", Path("/var/files")),
        ({"GATEWAY_FILES_DISK": "1Ki"}, "files_disk_bytes", 1024),
        ({"GATEWAY_UPLOAD_DISK": "512Mi"}, "upload_disk_bytes", 536870912),
        ({"GATEWAY_SECRETS_DIR": "/run/secrets"}, "secrets_dir", Path("/run/secrets")),
        (
            {"GATEWAY_EGRESS_ALLOW": " 10.20.0.0/16, fd12::/16 ,"},
            "egress",
            Egress((ip_network("10.20.0.0/16"), ip_network("fd12::/16"))),
        ),
        ({"GATEWAY_CORS_ORIGINS": " https://a.example ,*,"}, "cors_origins", ("https://a.example", "*")),
        (
            {"https_proxy": "p:3128", "NO_PROXY": "a, b"},
            "proxies",
            Proxies(https=Secret("http://p:3128"), exempt=("a", "b")),
        ),
        ({"ALL_PROXY": "p:3128", "GATEWAY_TRUST_ENV_PROXY": "off"}, "proxies", Proxies()),
    ],
)
def test_what_is_read(environ, field, value):
    assert getattr(settings_from(environ), field) == value


@pytest.mark.parametrize("environ", [{}, {"GATEWAY_ADMIN_TOKEN": "", "GATEWAY_TOKENS": "", "GATEWAY_CONFIG": ""}])
def test_what_is_not_set(environ):
    """Set to nothing is not set: that is how deployment tools write what somebody left out."""
    assert msgspec.structs.replace(settings_from(environ), environ={}) == Settings()


def test_all_variables_are_there_for_manifests():
    assert settings_from({"OPENAI_API_KEY": "k"}).environ == {"OPENAI_API_KEY": "k"}


def test_it_shows_no_secret():
    settings = settings_from({"GATEWAY_ADMIN_TOKEN": f"canary-{LONG}", "OPENAI_API_KEY": "canary"})

    assert "canary" not in f"{settings} {settings!r}"


@pytest.mark.parametrize("around", ["\n", "\r\n", " \n", "\t", "\ufeff", "\u200b", "\u2060\n"])
def test_what_is_around_a_token_is_none_of_it(around):
    """A token from a file ends in a line break: the gateway started, and knew nobody."""
    text = f"{around}user:ana@example.com={around}ana-{LONG}{around},{around}user:bo@example.com=bo-{LONG},{around}"
    environ = {"GATEWAY_ADMIN_TOKEN": f"{around}{LONG}{around}", "GATEWAY_TOKENS": text}

    assert settings_from(environ).tokens == (
        (Secret(LONG), ADMIN),
        (Secret(f"ana-{LONG}"), ANA),
        (Secret(f"bo-{LONG}"), BO),
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("GATEWAY_ADMIN_TOKEN", value) for value in ("\n", " ", "\ufeff")),
        *(("GATEWAY_TOKENS", value) for value in ("\n", " ", "\ufeff", ",\n,")),
    ],
)
def test_nothing_but_what_is_around_is_no_token(variable, value):
    assert settings_from({variable: value}).tokens == ()


@pytest.mark.parametrize(
    ("environ", "faults"),
    [
        (
            {"GATEWAY_ADMIN_TOKEN": LONG[:-1], "GATEWAY_TOKENS": "user:ana=short,user"},
            [
                ("GATEWAY_ADMIN_TOKEN", "has fewer than 16 characters"),
                ("GATEWAY_TOKENS", "entry 1: the token of user:ana has fewer than 16 characters"),
                ("GATEWAY_TOKENS", f"entry 2 {WRONG_FORM}"),
            ],
        ),
        (
            {"GATEWAY_ADMIN_TOKEN": f"{LONG} {LONG}", "GATEWAY_TOKENS": f"user:bo={LONG}\u200b{LONG}"},
            [("GATEWAY_ADMIN_TOKEN", HOLDS), ("GATEWAY_TOKENS", f"entry 1: the token of user:bo {HOLDS}")],
        ),
        (
            {"GATEWAY_ADMIN_TOKEN": f"{LONG}\n{LONG}", "GATEWAY_TOKENS": f"user:ana={LONG},user:bo={LONG}\0"},
            [("GATEWAY_ADMIN_TOKEN", HOLDS), ("GATEWAY_TOKENS", f"entry 2: the token of user:bo {HOLDS}")],
        ),
        *(
            ({"GATEWAY_TOKENS": text}, [("GATEWAY_TOKENS", f"entry {number} {WRONG_FORM}")])
            for text, number in (
                (f"ana={LONG}", 1),
                (f"team:platform={LONG}", 1),
                (f"user:*={LONG}", 1),
                (f"user:ana={LONG},{LONG}", 2),
                ("user:ana=", 1),
            )
        ),
        (
            {"GATEWAY_DATABASE_URL": "mysql://s3cret@h/db", "GATEWAY_PEPPER": LONG},
            [("the database's URL", "it starts with neither sqlite:/// nor postgresql://")],
        ),
        ({"GATEWAY_DATABASE_URL": SQLITE}, [("GATEWAY_PEPPER", NO_PEPPER)]),
        ({"GATEWAY_DATABASE_URL": SQLITE, "GATEWAY_PEPPER": LONG[:-1]}, [("GATEWAY_PEPPER", NO_PEPPER)]),
        (
            {"GATEWAY_REDIS_URL": "http://:s3cret@h"},
            [
                (
                    "GATEWAY_REDIS_URL",
                    "is no URL of a Redis server: it starts with none of redis://, rediss://, unix://",
                )
            ],
        ),
        *(
            ({"GATEWAY_LEDGER_DAYS": days}, [("GATEWAY_LEDGER_DAYS", "has to be a number of days above 0")])
            for days in ("0", "-1", "1.5", "soon")
        ),
        *(
            (
                {"GATEWAY_RESPONSES_DAYS": days},
                [("GATEWAY_RESPONSES_DAYS", "has to be a number of days from 0 to 3650")],
            )
            for days in ("-1", "soon", "3651")
        ),
        *(
            (
                {"GATEWAY_UPLOAD_DISK": size},
                [("GATEWAY_UPLOAD_DISK", "has to be a number of bytes above 0, as in 1073741824, 512Mi or 1Gi")],
            )
            for size in ("0", "1G", "Mi", "-1", "1.5Gi", "much")
        ),
        (
            {"GATEWAY_EGRESS_ALLOW": "10.0.0.0/33,10.0.0.0/8,vllm"},
            [
                (
                    "GATEWAY_EGRESS_ALLOW",
                    "'10.0.0.0/33' is no network, as in 10.20.0.0/16,fd12:3456::/48 ('10.0.0.0/33' does not appear to "
                    "be an IPv4 or IPv6 network)",
                ),
                (
                    "GATEWAY_EGRESS_ALLOW",
                    "'vllm' is no network, as in 10.20.0.0/16,fd12:3456::/48 ('vllm' does not appear to be an IPv4 or "
                    "IPv6 network)",
                ),
            ],
        ),
        (
            {"GATEWAY_TRUST_ENV_PROXY": "maybe"},
            [("GATEWAY_TRUST_ENV_PROXY", "must be on or off, and is 'maybe'")],
        ),
    ],
)
def test_what_cannot_be_used(environ, faults):
    """It names the variable, and no secret. A team is nobody who could call."""
    assert faults_of(environ) == faults


def test_several_that_cannot_be_used():
    """All in one go: with each start, one more was found."""
    environ = {
        "GATEWAY_ADMIN_TOKEN": "s3cret",
        "GATEWAY_TOKENS": "user",
        "GATEWAY_DATABASE_URL": "mysql://s3cret@h/db",
        "GATEWAY_REDIS_URL": "http://:s3cret@h",
        "GATEWAY_LEDGER_DAYS": "soon",
        "GATEWAY_EGRESS_ALLOW": "vllm",
        "HTTPS_PROXY": "socks5://s3cret@p",
        "HTTP_PROXY": "ftp://s3cret@p",
    }

    with pytest.raises(ConfigError) as refused:
        build_app(environ=environ)

    assert [fault.path or fault.file for fault in refused.value.faults] == [
        "GATEWAY_ADMIN_TOKEN",
        "GATEWAY_TOKENS",
        "the database's URL",
        "GATEWAY_PEPPER",
        "GATEWAY_REDIS_URL",
        "GATEWAY_LEDGER_DAYS",
        "GATEWAY_EGRESS_ALLOW",
        "HTTP_PROXY",
        "HTTPS_PROXY",
    ]
    assert "s3cret" not in str(refused.value)


def test_where_no_secrets_are_none_is_missed():
    """As in CI, where `gateway migrate` has its database and `gateway check` no pepper."""
    assert settings_from({"GATEWAY_DATABASE_URL": SQLITE}, has_secrets=False).pepper is None
    assert faults_of({"GATEWAY_LEDGER_DAYS": "soon"}, has_secrets=False) == [
        ("GATEWAY_LEDGER_DAYS", "has to be a number of days above 0")
    ]
