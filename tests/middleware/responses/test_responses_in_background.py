"""Responses that are made in the background."""

import asyncio

from gateway.contract.usage import Usage
from gateway.testing import get, post, request


def is_idle(app):
    """Nothing is made in the background."""
    [figure] = next(part for part in app.parts if part.name == "background responses").figures()
    return figure.values == {(): 0}


async def test_a_response_in_the_background(app_of, ana, until, sink, ask, said):
    """Told at once, found when it is done; one bill, and the same item ids wherever it is asked for."""
    go = asyncio.Event()
    app, upstream = app_of((200, [go, *said()[1]], {"content-type": "application/json"}))

    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    path = f"/v1/responses/{queued['id']}"
    running = (await get(app, path, headers=ana)).json()
    too_early = await post(app, "/v1/responses", ask(previous_response_id=queued["id"]), headers=ana)
    go.set()
    await until(lambda: is_idle(app))
    done = (await get(app, path, headers=ana)).json()

    assert (queued["status"], running["status"], done["status"]) == ("queued", "in_progress", "completed")
    assert (too_early.status, done["id"], done["background"]) == (400, queued["id"], True)
    assert done["output"][0]["id"] == f"msg_{queued['id'].removeprefix('resp_')}_0"
    assert "background" not in upstream.asked()
    follow = await post(app, "/v1/responses", ask(previous_response_id=queued["id"], store=False), headers=ana)
    assert follow.status == 200
    await app.close()
    assert [record.usage for record in sink.records if record.usage] == [Usage(input=7, output=3)] * 2


async def test_a_response_in_the_background_that_fails(app_of, ana, until, ask):
    app, _ = app_of((500, [b'{"error":{"message":"broken"}}']))

    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    await until(lambda: is_idle(app))
    found = (await get(app, f"/v1/responses/{queued['id']}", headers=ana)).json()

    assert found["status"] == "failed"
    assert found["error"] == {"code": "server_error", "message": "broken"}


async def test_a_response_in_the_background_can_be_cancelled(app_of, ana, bob, ask):
    app, _ = app_of((200, [asyncio.Event()], {"content-type": "application/json"}))
    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    path = f"/v1/responses/{queued['id']}/cancel"

    theirs = await request(app, "POST", path, headers=bob)
    own = await request(app, "POST", path, headers=ana)
    again = await request(app, "POST", path, headers=ana)

    assert (theirs.status, own.json()["status"], again.json()["status"]) == (404, "cancelled", "cancelled")
    assert (await get(app, f"/v1/responses/{queued['id']}", headers=ana)).json()["status"] == "cancelled"


async def test_a_response_in_the_background_is_cancelled_once(app_of, ana, ask):
    """The second broke off what the first wrote down, and the response was in progress for an hour."""
    app, _ = app_of((200, [asyncio.Event()], {"content-type": "application/json"}))
    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    path = f"/v1/responses/{queued['id']}/cancel"

    answers = await asyncio.gather(*[request(app, "POST", path, headers=ana) for _ in range(3)])

    assert [answer.json()["status"] for answer in answers] == ["cancelled"] * 3


async def test_a_response_in_the_background_that_is_deleted_stays_so(app_of, ana, bob, ask):
    """It was made, and kept, after all."""
    app, upstream = app_of((200, [asyncio.Event()], {"content-type": "application/json"}))
    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    path = f"/v1/responses/{queued['id']}"

    theirs = await request(app, "DELETE", path, headers=bob)
    was_running = not is_idle(app)
    own = await request(app, "DELETE", path, headers=ana)

    assert (theirs.status, was_running, own.json()["deleted"], is_idle(app)) == (404, True, True, True)
    assert (await get(app, path, headers=ana)).status == 404
    assert all(reply.is_closed for reply in upstream.replies)


async def test_nobody_takes_all_places_in_the_background(app_of, ana, bob, ask):
    app, _ = app_of(*26 * [(200, [asyncio.Event()], {"content-type": "application/json"})])
    for _ in range(25):
        await post(app, "/v1/responses", ask(background=True), headers=ana)

    refused = await post(app, "/v1/responses", ask(background=True), headers=ana)
    other = await post(app, "/v1/responses", ask(background=True), headers=bob)
    await app.close()

    assert (refused.status, other.status) == (503, 200)
    assert "25 responses of yours" in refused.json()["message"]


async def test_what_is_done_cannot_be_cancelled(app_of, ana, ask, said):
    app, _ = app_of(said())
    made = (await post(app, "/v1/responses", ask(), headers=ana)).json()

    assert (await request(app, "POST", f"/v1/responses/{made['id']}/cancel", headers=ana)).status == 400


async def test_a_provider_with_a_background_of_its_own_is_left_to_it(app_of, ana, ask, body, native):
    app, upstream = app_of(body(native(status="queued", usage=None)))

    answer = await post(app, "/v1/responses", ask(model="one/m", background=True), headers=ana)

    assert (answer.json()["status"], upstream.asked()["background"]) == ("queued", True)


async def test_closing_ends_what_is_made_in_the_background(app_of, ana, ask):
    app, upstream = app_of((200, [asyncio.Event()], {"content-type": "application/json"}))
    await post(app, "/v1/responses", ask(background=True), headers=ana)
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await app.close()

    assert all(reply.is_closed for reply in upstream.replies)
