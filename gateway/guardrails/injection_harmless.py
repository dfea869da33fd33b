"""What stands in texts of every day and sounds like an attack: to forget nothing, and to disregard one's last mail.

Taken out of a text in which a rule has found something, and the rule looks again. Each phrase is short and closed, so
that no attack fits into it: what stands beside it is looked at as ever.
"""

from functools import cache
from typing import Any

from gateway.guardrails.needs import needed

_NOT_TO = (
    r"\b(?:do not|don't|never|must not|mustn't|should not|shouldn't) (?:ever )?(?:forget|ignore|disregard|overlook)\b"
    r"|\b(?:vergiss|vergessen sie|ignorier\w*|ignorieren sie|missachte\w*) (?:\w+ ){0,2}nicht\b"
    r"|\b(?:vergeet|negeer) niet\b"
    r"|\bn'(?:oublie[zs]?|ignore[zs]?) (?:pas|jamais|surtout pas)|\bne (?:pas|jamais) (?:oublier|ignorer)\b"
    r"|\b(?:no|nunca) (?:olvid\w+|ignor\w+|descart\w+)|\bnon (?:dimentic\w+|scord\w+|ignor\w+)"
    r"|\b(?:não|nunca) (?:esqueç\w+|ignor\w+|desconsider\w+)|\bnie (?:zapomnij\w*|zapomin\w+|ignoruj\w*)"
    r"|не (?:забудь|забывай|игнорируй|отбрось|отбрасывай)(?:те)?"
    r"|(?:不要|别|請勿|请勿|切勿)(?:忽略|忽视|无视|忘记|忘掉|忘了)|(?:無視|忘れ)(?:し)?ない|(?:잊|무시하)지 ?(?:마|말)"
    r"|لا (?:تتجاهل|تنسَ|تنس)\S*"
)
_MAIL = (
    r"\b(?:my|our) (?:previous|last|earlier|prior) (?:e-?mail|mail|message|text|note|letter|call|comment|question)\b"
    r"|\b(?:vorherige|vorige|letzte|frühere)[nrs]? (?:e-?mail|mail|sms)\b"
    r"|\bmeine[nr]? (?:vorherige|letzte)[nrs]? nachricht\b"
    r"|\b(?:e-?mail|mail|courriel|courrier) précédente?\b|\b(?:mon|notre) message précédent\b"
    r"|\b(?:e-?mail|correo(?: electrónico)?) anterior\b|\bmi mensaje anterior\b|\bminha mensagem anterior\b"
    r"|\b(?:e-?mail|mail) precedente\b|\bmio messaggio precedente\b|\b(?:vorige|eerdere) (?:e-?mail|mail)\b"
    r"|\bpoprzedni(?:ego|m)? (?:e-?mail|mail)\w*|\bmoją poprzednią wiadomość|\bmesajul (?:meu )?anterior\b"
    r"|(?:предыдущ|прежн)\S+ (?:письм|имейл)\S*|رسالتي السابقة"
    r"|(?:前|以前)のメール|이전 (?:이)?메일|(?:之前|前面|上面|先前)的?(?:邮件|郵件|电子邮件)"
)


@cache
def _phrases() -> Any:
    return needed("re2").compile(rf"(?i)(?:{_NOT_TO}|{_MAIL})")


def without_harmless(text: str) -> str:
    """Raises ValueError: RE2 is not installed."""
    without: str = _phrases().sub("", text)
    return without
