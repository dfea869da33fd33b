"""What was uploaded yesterday is there today, whatever became of the process."""

import openai
import pytest
from openai import AsyncOpenAI

FILE = ("a.jsonl", b"{}\n", "application/jsonl")


def client_of(gateway, token):
    return AsyncOpenAI(base_url=gateway.url, api_key=token, timeout=30, max_retries=0)


async def test_whose_it_is_outlives_the_process(gateway_process, provider, config, environ, tmp_path, tokens):
    environ = {
        **environ,
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
        "GATEWAY_PEPPER": "pepper-0123456789abcdef",
    }
    first = gateway_process(config=config, environ=environ)
    async with client_of(first, tokens["ana"]) as client:
        file = await client.files.create(file=FILE, purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    first.process.kill()
    await first.exit_code()
    provider.finish_batch(batch.id, b"done\n")

    second = gateway_process(config=config, environ=environ)
    async with client_of(second, tokens["ana"]) as client, client_of(second, tokens["bo"]) as other:
        assert [each async for each in client.files.list()] == [file]
        done = await client.batches.retrieve(batch.id)
        assert (done.status, (await client.files.content(done.output_file_id)).content) == ("completed", b"done\n")
        with pytest.raises(openai.NotFoundError):
            await other.files.content(done.output_file_id)
        assert [each async for each in other.files.list()] == []
    second.assert_sound()
