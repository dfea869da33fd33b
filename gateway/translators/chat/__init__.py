"""The hub: what every translator out of OpenAI's chat API needs.

request = ChatRequest(call)             reads the fields, each once, and knows what was left
request.messages, .tools, ...           with `Part.media` for pictures and files
request.reasoning.budget(max_tokens)    effort -> tokens
request.response_format.as_tool()       JSON of a given form, for models that know only tools
closed_schema(schema, param)            a schema as those take it who hold a model to it
Answer, completion                      write a whole reply
ChatChunks                              writes a stream of chunks
"""

from gateway.translators.chat.chunks import ChatChunks
from gateway.translators.chat.completion import Answer, completion
from gateway.translators.chat.media import Media
from gateway.translators.chat.messages import FunctionCall, Message, Part, ToolCall
from gateway.translators.chat.reasoning import BUDGETS, LEAST_BUDGET, Reasoning, ReasoningOption
from gateway.translators.chat.request import ChatRequest, only_one_answer, only_text_out
from gateway.translators.chat.schema import closed_schema
from gateway.translators.chat.tools import ANSWER_TOOL, Function, ResponseFormat, Tool, ToolChoice
from gateway.translators.chat.usage import usage_fields

__all__ = [
    "ANSWER_TOOL",
    "BUDGETS",
    "LEAST_BUDGET",
    "Answer",
    "ChatChunks",
    "ChatRequest",
    "Function",
    "FunctionCall",
    "Media",
    "Message",
    "Part",
    "Reasoning",
    "ReasoningOption",
    "ResponseFormat",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "closed_schema",
    "completion",
    "only_one_answer",
    "only_text_out",
    "usage_fields",
]
