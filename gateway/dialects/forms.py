"""What all APIs have in common that take files."""

MAX_FORM_BYTES = 512 * 1024 * 1024
"""As much as OpenAI takes of a file. Source: openai-python 3.54, resources/files.py, read 2026-11."""
