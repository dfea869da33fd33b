"""OpenAI's SDK, unchanged, uploads files, runs batches and tunes models; both kinds of it do."""

import asyncio

import openai
import pytest

LINES = b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"real-chat"}}\n'
FILE = ("a b.jsonl", LINES, "application/jsonl")


async def both(client, sync, asynchronous, blocking):
    """What the two clients get."""
    return await asynchronous(client), await sync(blocking)


async def test_a_file_and_what_is_in_it(client, sync, provider):
    forms = len(provider.forms)
    made = await both(
        client,
        sync,
        lambda client: client.files.create(file=FILE, purpose="batch"),
        lambda client: client.files.create(file=FILE, purpose="batch"),
    )
    one, two = made

    assert (one.filename, one.purpose, one.bytes, one.id != two.id) == ("a b.jsonl", "batch", len(LINES), True)
    assert provider.forms[forms:] == 2 * [
        [("purpose", b"batch", None, None), ("file", LINES, "a b.jsonl", "application/jsonl")]
    ]
    assert await client.files.retrieve(one.id) == one
    assert await sync(lambda client: client.files.retrieve(two.id)) == two
    assert (await client.files.content(one.id)).content == LINES
    assert await sync(lambda client: client.files.content(one.id).content) == LINES

    deleted = await client.files.delete(one.id)
    assert (deleted.id, deleted.deleted) == (one.id, True)
    assert (await sync(lambda client: client.files.delete(two.id))).deleted
    for id_ in (one.id, two.id):
        assert id_ not in provider.files
        with pytest.raises(openai.NotFoundError, match="no file"):
            await client.files.retrieve(id_)


async def test_lists_are_the_callers_own_in_pages(client, sync, other_client):
    files = [await client.files.create(file=FILE, purpose=purpose) for purpose in ("batch", "fine-tune", "batch")]
    foreign = await other_client.files.create(file=FILE, purpose="batch")

    assert [file async for file in client.files.list(limit=2)][:3] == files[::-1]
    assert (await sync(lambda client: list(client.files.list(order="asc"))))[-3:] == files
    tuning = await client.files.list(purpose="fine-tune")
    assert (tuning.data, tuning.has_more) == ([files[1]], False)
    assert [file.id async for file in other_client.files.list()] == [foreign.id]

    for file in files:
        await client.files.delete(file.id)
    assert [file async for file in client.files.list()] == []


async def test_to_others_it_is_as_if_there_were_none(client, other_client, provider):
    file = await client.files.create(file=FILE, purpose="batch")
    batch = await client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    upload = await client.uploads.create(bytes=4, filename="x", mime_type="text/plain", purpose="batch")
    seen = len(provider.seen)

    for ask in (
        lambda: other_client.files.retrieve(file.id),
        lambda: other_client.files.content(file.id),
        lambda: other_client.files.delete(file.id),
        lambda: other_client.batches.retrieve(batch.id),
        lambda: other_client.batches.cancel(batch.id),
        lambda: other_client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        ),
        lambda: other_client.uploads.parts.create(upload.id, data=b"1234"),
        lambda: other_client.fine_tuning.jobs.create(model="m", training_file=file.id),
    ):
        with pytest.raises(openai.NotFoundError) as hidden:
            await ask()
        assert hidden.value.code == "object_not_found"
    assert [each async for each in other_client.batches.list()] == []

    assert len(provider.seen) == seen


async def test_an_upload_in_parts(client, sync, provider):
    upload = await client.uploads.create(bytes=8, filename="x.jsonl", mime_type="text/jsonl", purpose="batch")
    forms = len(provider.forms)
    first = await client.uploads.parts.create(upload.id, data=b"1234")
    second = await sync(lambda client: client.uploads.parts.create(upload.id, data=b"\r\n--"))

    done = await client.uploads.complete(upload.id, part_ids=[second.id, first.id])

    assert [form[0][:2] for form in provider.forms[forms:]] == [("data", b"1234"), ("data", b"\r\n--")]
    assert (done.id, done.status, first.upload_id) == (upload.id, "completed", upload.id)
    assert (await client.files.content(done.file.id)).content == b"\r\n--1234"
    assert [file.id async for file in client.files.list()][:1] == [done.file.id]
    other = await sync(
        lambda client: client.uploads.create(bytes=8, filename="x", mime_type="text/plain", purpose="batch")
    )
    assert (await sync(lambda client: client.uploads.cancel(other.id))).status == "cancelled"
    assert (await client.uploads.upload_file_chunked(
        file=b"0123456789", filename="y", bytes=10, mime_type="text/plain", purpose="batch", part_size=4
    )).status == "completed"  # fmt: skip


async def test_a_batch_to_its_end(client, sync, other_client, provider):
    file = await client.files.create(file=FILE, purpose="batch")

    def ask(client):
        return client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"}
        )

    one, two = await both(client, sync, ask, ask)
    assert (one.status, one.input_file_id, one.metadata) == ("validating", file.id, {"a": "b"})

    with pytest.raises(openai.NotFoundError, match="has no output; its status is"):
        await client.get(f"/batches/{one.id}/output", cast_to=str)
    provider.finish_batch(one.id)
    assert await client.get(f"/batches/{one.id}/output", cast_to=str) == '{"custom_id":"1"}\n'
    assert (await client.batches.cancel(two.id)).status == "cancelling"

    done = await sync(lambda client: client.batches.retrieve(one.id))
    assert (done.status, done.input_file_id) == ("completed", file.id)
    assert (await client.files.content(done.output_file_id)).content == b'{"custom_id":"1"}\n'
    assert (await client.files.retrieve(done.output_file_id)).purpose == "batch_output"
    with pytest.raises(openai.NotFoundError):
        await other_client.files.content(done.output_file_id)
    assert [(each.id, each.status) async for each in client.batches.list()][:2] == [
        (two.id, "cancelling"),
        (one.id, "completed"),
    ]


async def test_a_list_tells_what_has_become_of_each(client, provider, until):
    """Nobody has asked for the batch since."""
    file = await client.files.create(file=FILE, purpose="batch")
    batch = await client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    provider.finish_batch(batch.id)

    (listed,) = (await client.batches.list(limit=1)).data

    assert (listed.id, listed.status) == (batch.id, "completed")
    assert (await client.files.retrieve(listed.output_file_id)).purpose == "batch_output"
    await until(lambda: any(seen[1].endswith(f"{listed.output_file_id}/content") for seen in provider.seen))  # its bill
    seen = len(provider.seen)
    assert (await client.batches.list(limit=1)).data == [listed]
    assert len(provider.seen) == seen


async def test_fine_tuning(client, sync, provider):
    file = await client.files.create(file=FILE, purpose="fine-tune")

    job = await client.fine_tuning.jobs.create(model="main/chat", training_file=file.id, suffix="mine")
    other = await sync(lambda client: client.fine_tuning.jobs.create(model="gpt-x", training_file=file.id))

    assert [provider.jobs[each.id]["model"] for each in (job, other)] == ["real-chat", "gpt-x"]
    assert (job.training_file, job.status) == (file.id, "queued")
    assert [event.message async for event in client.fine_tuning.jobs.list_events(job.id)] == ["started"]
    points = await sync(lambda client: list(client.fine_tuning.jobs.checkpoints.list(job.id)))
    assert [point.fine_tuning_job_id for point in points] == [job.id]
    assert (await client.fine_tuning.jobs.pause(other.id)).status == "paused"
    assert (await client.fine_tuning.jobs.resume(other.id)).status == "running"
    assert (await sync(lambda client: client.fine_tuning.jobs.cancel(other.id))).status == "cancelled"

    provider.finish_job(job.id)
    done = await client.fine_tuning.jobs.retrieve(job.id)
    assert done.status == "succeeded"
    assert (await client.files.content(done.result_files[0])).content == b"step,loss\n"
    assert [each.id async for each in client.fine_tuning.jobs.list()] == [other.id, job.id]


async def test_what_it_costs_and_where_it_went_is_written_down(client, gateway, provider):
    raw = await client.files.with_raw_response.create(file=FILE, purpose="batch")

    (record,) = await gateway.records_of(raw.headers["x-request-id"])

    assert (record["request_type"], record["resolved_model"], record["outcome"]) == ("files", "main/files", "complete")
    assert (record["model"], record["cost_nanousd"]) == ("main", 0)
    assert "file" not in str(record.get("error"))


async def test_what_the_provider_refuses_is_passed_on(client, provider):
    provider.fails = 422
    try:
        with pytest.raises(openai.UnprocessableEntityError, match="as told: 422"):
            await client.files.create(file=FILE, purpose="batch")
    finally:
        provider.fails = None


async def test_a_large_file_is_in_no_memory(gateway, client, provider):
    """Neither on its way in nor on its way out."""
    data = bytes(range(256)) * 256 * 1024  # 64 MiB
    before = gateway.rss_kib
    most = [before]

    async def watch():
        while True:
            most.append(gateway.rss_kib)
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    file = await client.files.create(file=("large", data), purpose="user_data")
    got = (await client.files.content(file.id)).content
    watching.cancel()

    assert got == data == provider.contents[file.id]
    assert max(most) - before < 16 * 1024
    await client.files.delete(file.id)
