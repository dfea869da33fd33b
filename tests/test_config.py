"""One configuration in force, and how the next takes its place."""

import asyncio

import pytest

from gateway.config import Config
from gateway.errors import ConfigError, UnknownModel
from gateway.testing import FakeUpstream, get, post

ASK = {"model": "mock/m", "messages": []}
REPLY = (200, [b'{"choices":[]}'])


def manifest_of(*models):
    rows = "".join(
        f"  - {{type: integration/model/self-hosted-model, name: {name}, hosted_model_name: {name}, "
        f"url: 'http://127.0.0.1:9/v1', model_server: openai-compatible, model_types: [chat]}}\n"
        for name in models
    )
    return f"type: provider-account/self-hosted-model\nname: mock\nintegrations:\n{rows}"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(manifest_of("m"))
    return path


async def names(config):
    return list(config.names(None))


async def test_the_next_configuration_takes_the_place_of_the_last(path):
    config = Config(path, {})
    path.write_text(manifest_of("m", "n"))

    await config.reload()

    assert await names(config) == ["mock/m", "mock/n"]
    assert (config.generation, config.reload_failures, config.faults) == (2, 0, ())
    assert [target.name for target in config.find("mock/n", None)] == ["mock/n"]
    with pytest.raises(UnknownModel):
        config.find("mock/other", None)


@pytest.mark.parametrize("text", ["a: [", "type: provider-account/openai\nname: x\nintegrations: 3\n"])
async def test_one_that_cannot_be_used_leaves_the_last_in_force(path, text, capsys):
    config = Config(path, {})
    path.write_text(text)

    await config.reload()

    assert await names(config) == ["mock/m"]
    assert (config.generation, config.reload_failures) == (1, 1)
    assert all(str(path) in str(fault) for fault in config.faults)
    assert config.faults
    assert "configuration not reloaded" in capsys.readouterr().out


async def test_a_file_that_has_gone_leaves_the_last_in_force(path, capsys):
    config = Config(path, {})
    path.unlink()

    await config.reload()

    assert await names(config) == ["mock/m"]
    assert config.reload_failures == 1


async def test_faults_are_forgotten_once_they_are_mended(path, capsys):
    config = Config(path, {})
    path.write_text("a: [")
    await config.reload()
    path.write_text(manifest_of("n"))

    await config.reload()

    assert await names(config) == ["mock/n"]
    assert (config.generation, config.reload_failures, config.faults) == (2, 1, ())


def test_the_first_one_has_to_be_good(path):
    path.write_text("a: [")

    with pytest.raises(ConfigError):
        Config(path, {})


async def test_a_bad_reload_can_be_seen_from_outside(app_with, path, auth, capsys):
    """An alert on the counter, the reason on /readyz; the old configuration still serves."""
    app = app_with(FakeUpstream(REPLY), path)
    path.write_text("a: [")
    await app.config.reload()

    ready = await get(app, "/readyz")
    metrics = (await get(app, "/metrics")).body.decode().splitlines()
    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)

    assert (ready.status, answer.status) == (200, 200)
    [fault] = ready.json()["config"].pop("faults")
    assert str(path) in fault
    assert ready.json()["config"] | {"faults": []} == {
        "generation": 1,
        "models": 1,
        "reload_failures": 1,
        "faults": [],
    }
    assert "gateway_config_generation 1.0" in metrics
    assert "gateway_config_reload_failures_total 1.0" in metrics


# --- watching ----------------------------------------------------------------


def write(path, text):
    path.write_text(text)


def replace(path, text):
    """As editors do: another file takes the name."""
    beside = path.with_name(".gateway.yaml.swp")
    beside.write_text(text)
    beside.replace(path)


def remove_and_write(path, text):
    path.unlink()
    path.write_text(text)


async def settled(until, config, change, expected):
    """Makes the change until it is noticed: the first may come before the watcher looks."""
    for _ in range(20):
        change()
        try:
            await until(lambda: sorted(config.snapshot.targets) == expected, within_s=1.0)
        except TimeoutError:
            continue
        return
    raise AssertionError(f"{[*config.snapshot.targets]} is in force")


@pytest.mark.parametrize("change", [write, replace, remove_and_write])
async def test_a_change_of_the_file_is_noticed(path, until, change, capsys):
    config = Config(path, {})

    async with config.watched():
        await settled(until, config, lambda: change(path, manifest_of("n")), ["mock/n"])
        await settled(until, config, lambda: change(path, manifest_of("o")), ["mock/o"])


async def test_a_change_in_a_directory_is_noticed(path, until, capsys):
    config = Config(path.parent, {})
    other = manifest_of("x").replace("name: mock", "name: other")

    async with config.watched():
        await settled(until, config, lambda: (path.parent / "b.yaml").write_text(other), ["mock/m", "other/x"])
        await settled(until, config, lambda: path.unlink(missing_ok=True), ["other/x"])


@pytest.mark.parametrize("as_directory", [False, True], ids=["file", "directory"])
async def test_a_configmap_is_noticed(tmp_path, until, as_directory, capsys):
    """Kubernetes never touches the file: it swaps a link beside it, in one step."""
    version = 0

    def publish(text):
        nonlocal version
        version += 1
        data = tmp_path / f"..{version}"
        data.mkdir()
        (data / "gateway.yaml").write_text(text)
        (tmp_path / "..data_tmp").symlink_to(data.name)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    publish(manifest_of("m"))
    path = tmp_path / "gateway.yaml"
    path.symlink_to("..data/gateway.yaml")
    config = Config(tmp_path if as_directory else path, {})

    async with config.watched():
        await settled(until, config, lambda: publish(manifest_of("n")), ["mock/n"])
        await settled(until, config, lambda: publish(manifest_of("o")), ["mock/o"])


async def test_a_changed_secret_is_noticed(path, tmp_path, until, capsys):
    """A rotated key has to reach the provider without a restart."""
    secrets = tmp_path / "secrets"
    (secrets / "group").mkdir(parents=True)
    key = secrets / "group" / "key"
    key.write_text("old-key")
    auth = "auth_data: {type: bearer-auth, bearer_token: 'tfy-secret://tenant:group:key'}, url: "
    path.write_text(manifest_of("m").replace("url: ", auth))
    config = Config(path, {"GATEWAY_SECRETS_DIR": str(secrets)})

    def head():
        [target] = config.find("mock/m", None)
        return target.settings.endpoints["chat"].head

    assert b"Bearer old-key" in head()
    async with config.watched():
        for _ in range(20):
            key.write_text("new-key")
            try:
                await until(lambda: b"Bearer new-key" in head(), within_s=1.0)
            except TimeoutError:
                continue
            break

    assert b"Bearer new-key" in head()


async def test_without_a_file_nothing_is_watched():
    config = Config(None, {})

    async with config.watched():
        assert await names(config) == ["demo/echo"]


# --- under load --------------------------------------------------------------


async def test_reloads_fail_no_request(app_with, path, auth, capsys):
    """Requests keep the configuration they began with; good and bad ones come and go meanwhile."""
    app = app_with(FakeUpstream(REPLY), path)
    statuses = []
    is_over = False

    async def client():
        while not is_over:
            statuses.append((await post(app, "/v1/chat/completions", ASK, headers=auth)).status)
            await asyncio.sleep(0.001)

    clients = [asyncio.create_task(client()) for _ in range(5)]
    for number in range(300):
        replace(path, "a: [" if number % 3 == 0 else manifest_of("m", f"n{number}"))
        await app.config.reload()
    is_over = True
    await asyncio.gather(*clients)

    assert set(statuses) == {200}
    assert len(statuses) >= 300
    assert app.config.reload_failures >= 100
    assert app.config.generation >= 201
