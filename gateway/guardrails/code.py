"""Code that runs other code, or removes files: `eval`, `exec`, `os.system`, `subprocess`, `rm -rf` and their like.

It reads text, not a language: who hides a call will not be found, and who writes about one may be.
"""

from gateway.contract import GuardrailSpec
from gateway.guardrails.patterns import Pattern, Patterns
from gateway.guardrails.searching import PatternGuardrail

PATTERNS: tuple[Pattern, ...] = (
    Pattern("eval", r"(?:^|[^A-Za-z0-9_.])(?:eval|exec)\s*\(", reach=16),
    Pattern("compile", r"\b__import__\s*\(", reach=16),
    Pattern("os.system", r"\bos\s*\.\s*(?:system|popen|exec[lv]p?e?|spawn[lv]p?e?|remove|unlink|rmdir)\s*\(", reach=32),
    Pattern("subprocess", r"\bsubprocess\s*\.\s*(?:run|call|Popen|check_output|check_call|getoutput)\s*\(", reach=48),
    Pattern("rmtree", r"\bshutil\s*\.\s*rmtree\s*\(", reach=32),
    Pattern("child_process", r"\b(?:child_process|execSync|spawnSync)\b", reach=32),
    Pattern("rm -rf", r"\brm\s+(?:-[a-zA-Z]*[rR][a-zA-Z]*\s+)+[^\n]", reach=48),
    Pattern("mkfs", r"\b(?:mkfs(?:\.[a-z0-9]+)?|dd\s+if=[^\s]+\s+of=/dev/)", reach=64),
    Pattern("pipe to shell", r"\b(?:curl|wget)\b[^\n|]{0,200}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b", reach=240),
    Pattern("fork bomb", r":\(\)\s*\{\s*:\|:&\s*\};:", reach=32),
    Pattern("Runtime.exec", r"\bRuntime\s*\.\s*getRuntime\s*\(\s*\)\s*\.\s*exec\s*\(", reach=64),
    Pattern("powershell", r"(?i)\b(?:Invoke-Expression|iex)\b\s*[\(\$]|Remove-Item\b[^\n]{0,80}-Recurse", reach=120),
)


def make(spec: GuardrailSpec) -> PatternGuardrail:
    """Raises ValueError: RE2 is not installed."""
    return PatternGuardrail(spec.name, Patterns(PATTERNS), redacts=False)
