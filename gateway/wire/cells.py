"""Cells of a table that people open in a spreadsheet."""

_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")
"""With which a formula may begin; the four that are twice as wide are taken for the same in some languages. A quote
would be taken for ours."""


def safe_cell(text: str) -> str:
    """As text that no spreadsheet takes for a formula. Source: OWASP, CSV injection, read 2026-11."""
    return f"'{text}" if text.startswith(_SIGNS) else text
