"""A whole answer of `generateContent` as a chat completion."""

from collections.abc import Callable

from gateway.translators.chat import Answer, completion
from gateway.translators.reading import DocumentReading
from gateway.wire.google import TokenUsage, error_of
from gateway_google.reply import (
    FILTERED,
    Candidate,
    Reply,
    annotations_of,
    failure_of,
    finish_of,
    read,
)
from gateway_google.signatures import OF_TEXT, OF_THOUGHT, block_of, extra_of


class GeminiDocument(DocumentReading):
    """
    Args:
        created_s: when it is read, seconds since 1970.
        new_id: makes ids, of answers and of calls that have none.
        answer_tool: as in `Answer`.
        shows_tier: the caller asked for a tier, and hears which it got.
        tier: the one that the head of the reply names.
    """

    def __init__(
        self,
        created_s: float,
        *,
        new_id: Callable[[], str],
        answer_tool: bool,
        shows_tier: bool,
        tier: str | None,
    ) -> None:
        super().__init__()
        self._created_s = created_s
        self._new_id = new_id
        self._answer_tool = answer_tool
        self._shows_tier = shows_tier
        self._tier = tier

    def document(self, body: bytes) -> bytes:
        reply = read(body)
        if not reply.candidates and reply.prompt_feedback is None and reply.usage_metadata is None:
            raise error_of(body)
        self._count(reply)
        answers = [self._answer(candidate) for candidate in sorted(reply.candidates, key=lambda each: each.index)]
        if not answers:
            answers.append(self._blocked(reply))
        return completion(
            answers,
            id=reply.response_id or self._new_id(),
            model=reply.model_version,
            created_s=self._created_s,
            usage=self.told_usage,
            service_tier=self._tier if self._shows_tier else None,
        )

    def service_tier(self) -> str | None:
        return self._tier

    def _count(self, reply: Reply) -> None:
        used = TokenUsage.of(reply.usage_metadata)
        if used is not None:
            grounds = [each.grounding_metadata for each in reply.candidates if each.grounding_metadata is not None]
            self.told_usage = used.usage(sum(len(ground.web_search_queries) for ground in grounds))
            self._tier = used.tier or self._tier

    def _blocked(self, reply: Reply) -> Answer:
        """Of a prompt that was not answered: an empty answer, where nobody says why."""
        answer = Answer()
        if reply.prompt_feedback is not None and (refusal := reply.prompt_feedback.refusal) is not None:
            answer.refusal(refusal)
            answer.finish_reason = FILTERED
        return answer

    def _answer(self, candidate: Candidate) -> Answer:
        answer = Answer(answer_tool=self._answer_tool)
        parts = candidate.content.parts if candidate.content is not None else []
        texts: list[str] = []
        thought = ""
        has_calls = False
        for part in parts:
            text, signature = "", part.thought_signature
            if part.thought:
                thought += part.text or ""
                answer.reasoning(part.text or "")
                if signature:
                    answer.thinking_block(block_of(OF_THOUGHT, thought, signature))
                    thought = ""
            elif part.function_call is not None:
                has_calls = True
                call = part.function_call
                answer.tool_call(call.id or self._new_id(), call.name, call.arguments, extra_of(signature))
            else:
                if part.inline_data is not None:
                    answer.image(part.inline_data.uri)
                elif text := part.shown:
                    answer.text(text)
                if signature:
                    answer.thinking_block(block_of(OF_TEXT, thought, signature))
                    thought = ""
            texts.append(text)
        if (failure := failure_of(candidate, has_content=any(texts) or has_calls)) is not None:
            raise failure
        for annotation in annotations_of(candidate.grounding_metadata, candidate.citation_metadata, texts):
            answer.annotation(annotation)
        if candidate.logprobs_result is not None:
            answer.logprobs = candidate.logprobs_result.told
        answer.finish_reason = finish_of(candidate.finish_reason, has_calls=has_calls)
        return answer
