"""What OpenTelemetry calls things, in one place: its conventions for HTTP and generative AI.

Source: https://github.com/open-telemetry/semantic-conventions-genai (all of it "development", so names may change) and
https://opentelemetry.io/docs/specs/semconv/http/, as `opentelemetry-semantic-conventions` 0.66b2 has them, which the
tests compare. What begins with `gateway.` is our own, what begins with `tfy.` is restated in section 5.1 of the
project's compatibility notes.
"""

from collections.abc import Mapping

# --- attributes ------------------------------------------------------------------------------------------------------

HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"
USER_AGENT = "user_agent.original"
CLIENT_ADDRESS = "client.address"
ERROR_TYPE = "error.type"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"

SERVICE_VERSION = "service.version"
SERVICE_INSTANCE = "service.instance.id"

STANDARD = (
    *(HTTP_METHOD, HTTP_STATUS, URL_PATH, URL_SCHEME, USER_AGENT, CLIENT_ADDRESS, ERROR_TYPE),
    *(OPERATION, PROVIDER, REQUEST_MODEL, REQUEST_STREAM, FIRST_CHUNK, TOKEN_TYPE),
    *(INPUT_TOKENS, OUTPUT_TOKENS, CACHE_READ_TOKENS, CACHE_WRITE_TOKENS, REASONING_TOKENS),
    *(INPUT_MESSAGES, OUTPUT_MESSAGES),
    *(SERVICE_VERSION, SERVICE_INSTANCE),
)
"""Those that are OpenTelemetry's."""

# --- metrics ---------------------------------------------------------------------------------------------------------

DURATION = "gen_ai.client.operation.duration"
TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
TIME_PER_TOKEN = "gen_ai.server.time_per_output_token"
TOKEN_USAGE = "gen_ai.client.token.usage"
SECONDS, TOKENS = "s", "{token}"
METRICS = {DURATION: SECONDS, TIME_TO_FIRST_CHUNK: SECONDS, TIME_PER_TOKEN: SECONDS, TOKEN_USAGE: TOKENS}
"""Name -> unit."""

SECONDS_BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS_BOUNDS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

# --- values ----------------------------------------------------------------------------------------------------------

CHAT, TEXT_COMPLETION, EMBEDDINGS = "chat", "text_completion", "embeddings"
GENERATE_CONTENT = "generate_content"
OPERATIONS: Mapping[str, str] = {
    "chat": CHAT,
    "messages": CHAT,
    "responses": CHAT,
    "compaction": CHAT,
    "anthropic-native": CHAT,
    "bedrock-native": CHAT,
    "completions": TEXT_COMPLETION,
    "embeddings": EMBEDDINGS,
    "gemini": GENERATE_CONTENT,
    "gemini_embeddings": EMBEDDINGS,
    "gemini-native": GENERATE_CONTENT,
    "images": GENERATE_CONTENT,
    "image_edits": GENERATE_CONTENT,
    "image_variations": GENERATE_CONTENT,
    "speech": GENERATE_CONTENT,
}
"""API of the caller -> the operation; any other is called as the API is, which the conventions allow."""

PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "aws-bedrock": "aws.bedrock",
    "aws-bedrock-mantle": "aws.bedrock",
    "aws-claude-platform": "anthropic",
    "azure-foundry": "azure.ai.inference",
    "azure-openai": "azure.ai.openai",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "google-gemini": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "groq": "groq",
    "microsoft-foundry": "azure.ai.inference",
    "mistral-ai": "mistral_ai",
    "openai": "openai",
    "perplexity-ai": "perplexity",
    "xai": "x_ai",
}
"""Type of an account -> the provider; any other is called as the type is, which the conventions allow."""


def operation_of(request_type: str) -> str:
    return OPERATIONS.get(request_type, request_type)


def provider_of(account_type: str) -> str:
    return PROVIDERS.get(account_type, account_type)
