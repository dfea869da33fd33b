import asyncio

import pytest

from gateway.servers.lifespan import LifespanFailed, lifespan


class App:
    """Answers as told: stage -> "complete", "failed", an error to raise, or None to hang."""

    def __init__(self, **answers):
        self.answers = answers
        self.seen = []

    async def __call__(self, scope, receive, send):
        scope["state"]["pool"] = "open"
        while self.seen[-1:] != ["shutdown"]:
            stage = (await receive())["type"].removeprefix("lifespan.")
            self.seen.append(stage)
            answer = self.answers.get(stage, "complete")
            if isinstance(answer, Exception):
                raise answer
            if answer is None:
                await asyncio.Event().wait()
            await send({"type": f"lifespan.{stage}.{answer}", "message": "trace\nno disk"})


async def test_starts_and_ends_the_app():
    app = App()

    async with lifespan(app, end_s=1) as state:
        assert app.seen == ["startup"]
        assert state == {"pool": "open"}

    assert app.seen == ["startup", "shutdown"]


async def test_an_app_without_a_lifespan():
    async def app(scope, receive, send):
        pass

    async with lifespan(app, end_s=1) as state:
        assert state == {}


@pytest.mark.parametrize(
    ("stage", "answer", "message"),
    [
        ("startup", "failed", "startup failed: no disk"),
        ("startup", RuntimeError("no luck"), "startup failed: RuntimeError: no luck"),
        ("shutdown", "failed", "shutdown failed: no disk"),
        ("shutdown", RuntimeError("no luck"), "shutdown failed: RuntimeError: no luck"),
        ("shutdown", None, "shutdown took longer than 0 s"),
    ],
)
async def test_says_what_failed(stage, answer, message):
    with pytest.raises(LifespanFailed) as failed:
        async with lifespan(App(**{stage: answer}), end_s=0):
            pass

    assert str(failed.value) == message


async def test_being_stopped_while_starting_stops_the_app():
    app = App(startup=None)

    async def start():
        async with lifespan(app, end_s=1):
            pass

    starting = asyncio.create_task(start())
    while not app.seen:
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait({starting})

    assert starting.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}
