"""deploy/compose.yaml, and what it mounts."""

import re

import pytest
import yaml

from gateway.cli import main
from gateway.settings import settings_from

GIVEN = {
    "GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef",
    "GATEWAY_PEPPER": "pepper-of-the-tests-0123456789",
    "POSTGRES_PASSWORD": "secret",
}


@pytest.fixture
def services(deploy):
    """As Compose reads them with `GIVEN` in its `.env`."""
    text = (deploy / "compose.yaml").read_text()
    text = re.sub(r"\$\{(\w+):[?-][^}]*\}", lambda match: GIVEN.get(match[1], ""), text)
    return yaml.safe_load(text)["services"]


def test_has_what_a_gateway_works_with(services):
    assert list(services) == ["migrate", "gateway", "redis", "postgres", "prometheus", "grafana", "otel-collector"]


def test_the_gateway_takes_its_environment(services):
    settings = settings_from(services["gateway"]["environment"])

    assert settings.database_url.reveal() == "postgresql://gateway:secret@postgres/gateway"
    assert settings.redis_url.reveal() == "redis://redis:6379/0"


def test_nothing_starts_without_its_secrets(deploy):
    """None of them has a value that stands in a public file."""
    text = (deploy / "compose.yaml").read_text()

    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(GIVEN)
    assert set(re.findall(r"\$\{(\w+):-\}", text)) == {"OPENAI_API_KEY"}


def test_what_is_mounted_is_there(services, deploy):
    mounts = [mount.split(":")[0] for service in services.values() for mount in service.get("volumes", ())]

    assert [mount for mount in mounts if mount.startswith(".") and not (deploy / mount).exists()] == []


def test_nobody_else_reaches_it(services):
    ports = [port for service in services.values() for port in service.get("ports", ())]

    assert ports == ["127.0.0.1:8787:8787", "127.0.0.1:9090:9090", "127.0.0.1:3000:3000"]


def test_the_gateway_gets_no_rights(services):
    gateway = services["gateway"]

    assert (gateway["read_only"], gateway["cap_drop"], gateway["security_opt"]) == (
        True,
        ["ALL"],
        ["no-new-privileges:true"],
    )


def test_the_tables_are_there_before_the_gateway(services):
    assert services["gateway"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services["migrate"]["command"][0] in main.commands


def test_there_is_time_to_drain(services):
    drain_s = next(option.default for option in main.commands["serve"].params if option.name == "drain_seconds")

    assert int(services["gateway"]["stop_grace_period"].removesuffix("s")) >= drain_s + 20


def test_images_have_a_version(services):
    images = [service["image"] for service in services.values()]

    assert [image for image in images if not re.search(r":v?\d+\.?\d*", image)] == []


def test_prometheus_asks_the_gateway_which_sends_to_the_collector(services, deploy):
    prometheus = yaml.safe_load((deploy / "prometheus/prometheus.yaml").read_text())
    collector = yaml.safe_load((deploy / "otel/collector.yaml").read_text())
    sent = settings_from(services["gateway"]["environment"]).telemetry.destinations

    assert prometheus["scrape_configs"][0]["static_configs"] == [{"targets": ["gateway:8787"]}]
    assert {signal: to.endpoint for signal, to in sent.items()} == {
        signal: f"http://otel-collector:4318/v1/{signal}" for signal in ("traces", "metrics", "logs")
    }
    assert collector["receivers"]["otlp"]["protocols"]["http"] == {"endpoint": "0.0.0.0:4318"}
    assert collector["service"]["pipelines"].keys() == sent.keys()
