"""Keys, tokens and passwords, by how those who give them out write them.

Sources: the formats that GitHub's secret scanning, detect-secrets 1.5 and the vendors' own pages name; read 2026-11.
"""

from math import log2

import msgspec

from gateway.guardrails.patterns import Pattern

_KEY = r"[A-Za-z0-9_\-]"
LEAST_ENTROPY = 2.5
"""Bits for each character: below are words, dates and what stands in for a key, as in `your-api-key-here`."""
_STAND_INS = ("example", "your", "xxxx", "****", "<", "changeme", "placeholder", "redacted", "dummy")
_REFERENCES = ("var.", "data.", "local.", "module.", "process.env", "os.environ", "os.getenv", "${", "{{")
"""What a value begins with that only says where the secret is."""


def is_random(text: str) -> bool:
    """Whether a value that is called a secret looks like one, and not like what stands in for it."""
    low = text.lower()
    if low.startswith(_REFERENCES) or any(word in low for word in _STAND_INS):
        return False
    if not any(char.isdigit() for char in text):
        return False
    counts = [text.count(char) / len(text) for char in set(text)]
    return -sum(share * log2(share) for share in counts) >= LEAST_ENTROPY


_FORMS: tuple[Pattern, ...] = (
    Pattern(
        "private_key",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----[^\-]*-{0,5}(?:END [A-Z0-9 ]*-{0,5}|END|EN|E)?",
        begun=r"-----BEGIN[A-Z0-9 ]*-*",
    ),
    Pattern("aws_access_key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    Pattern("github_token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})"),
    Pattern("gitlab_token", rf"\bgl(?:pat|ptt|rt|dt|cbt|soat)-{_KEY}{{20,}}"),
    Pattern("slack_token", r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}|\bxapp-[0-9]-[A-Za-z0-9\-]{10,}"),
    Pattern("slack_webhook", r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_]{20,}"),
    Pattern("openai_key", rf"\bsk-(?:proj-|svcacct-|admin-|None-)?{_KEY}{{20,}}"),
    Pattern("anthropic_key", rf"\bsk-ant-{_KEY}{{20,}}"),
    Pattern("google_api_key", rf"\bAIza{_KEY}{{35}}"),
    Pattern("google_oauth", rf"\bGOCSPX-{_KEY}{{28}}|\bya29\.{_KEY}{{20,}}"),
    Pattern("stripe_key", r"\b(?:sk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,}"),
    Pattern("huggingface_token", r"\bhf_[A-Za-z0-9]{30,}"),
    Pattern("provider_key", rf"\b(?:gsk_|xai-|pplx-|r8_|nvapi-|fw_|csk-|dapi|tfy-){_KEY}{{24,}}"),
    Pattern("sendgrid_key", rf"\bSG\.{_KEY}{{20,24}}\.{_KEY}{{39,50}}"),
    Pattern("twilio_key", r"\b(?:SK|AC)[0-9a-f]{32}\b"),
    Pattern("npm_token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    Pattern("pypi_token", rf"\bpypi-AgEIcHlwaS5vcmc{_KEY}{{50,}}"),
    Pattern("docker_token", rf"\bdckr_pat_{_KEY}{{20,}}"),
    Pattern("digitalocean_token", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    Pattern("shopify_token", r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b"),
    Pattern("mailgun_key", r"\bkey-[0-9a-f]{32}\b"),
    Pattern("telegram_token", rf"\b[0-9]{{8,10}}:AA{_KEY}{{33}}"),
    Pattern("discord_token", rf"\b[MNO]{_KEY}{{23,25}}\.{_KEY}{{6}}\.{_KEY}{{27,38}}"),
    Pattern("jwt", rf"\beyJ{_KEY}{{10,}}\.eyJ{_KEY}{{10,}}\.{_KEY}{{5,}}", long=r"\beyJ"),
    Pattern("azure_key", r"(?i)AccountKey=[A-Za-z0-9+/]{60,}={0,2}"),
    Pattern(
        "url_credentials",
        r"\b[a-z][a-z0-9+.\-]{1,20}://[^\s/:@\"'<>]{1,}:([^\s/@\"'<>]{3,})@",
        accepts=is_random,
        takes_group=True,
    ),
    Pattern(
        "bearer_token",
        r"(?i)\bbearer +([A-Za-z0-9_.~+/=\-]{20,})",
        accepts=is_random,
        looks_back=True,
        takes_group=True,
    ),
    Pattern(
        "aws_secret_key",
        r"(?i)\baws.{0,20}(?:secret|key)[\"'` ]{0,3}(?:=|:|=>)[\"'` ]{0,4}([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)",
        looks_back=True,
        takes_group=True,
    ),
    Pattern(
        "password",
        r"(?i)\b(?:api[_\-]?key|secret[_\-]?key|client[_\-]?secret|access[_\-]?token|auth[_\-]?token|secret|passwd|password|pwd)"
        r"[\"'` ]{0,3}(?:=|:|=>|:=)[\"'` ]{0,4}([^\s\"'`,;]{8,})",
        accepts=is_random,
        looks_back=True,
        takes_group=True,
    ),
)

SECRETS: tuple[Pattern, ...] = tuple(
    msgspec.structs.replace(pattern, is_key=True, is_sure=not pattern.takes_group) for pattern in _FORMS
)
