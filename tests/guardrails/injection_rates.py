"""How much of the corpus the rules for prompt injection catch, and how many harmless texts they stop.

    python tests/guardrails/injection_rates.py

The rules were adjusted until they did well with `attacks.txt` and `harmless.txt`. Those in `*_blind.txt` were written
down before the rules were last changed, by who then changed them; no rule was adjusted to what it did with them.
"""

import asyncio
import sys
from pathlib import Path

from gateway.contract import GuardrailSpec, Hook, Subject, Text
from gateway.guardrails.injection import InjectionGuardrail
from gateway.manifests.guardrail_kinds import InjectionConfig

NAMES = ("attacks", "harmless", "attacks_blind", "harmless_blind")
CORPUS = Path(__file__).parent / "corpus"


def guardrail(threshold=1.0):
    config = InjectionConfig(threshold=threshold)
    return InjectionGuardrail(GuardrailSpec(name="g/injection", kind="tfy-prompt-injection", config=config))


async def stopped(name, threshold=1.0):
    """Each text of a file, and whether it is stopped."""
    judge = guardrail(threshold)
    texts = (CORPUS / name).read_text().splitlines()
    findings = [await judge.check(Subject(Hook.LLM_INPUT, None, None, {}, [Text("user", each)])) for each in texts]
    return [(text, finding.verdict == "block") for text, finding in zip(texts, findings, strict=True)]


def rate(results):
    return f"{sum(is_stopped for _, is_stopped in results)} of {len(results)}"


async def main():
    for threshold in (0.6, 0.8, 1.0):
        for name in NAMES:
            sys.stdout.write(f"{threshold} {name}: {rate(await stopped(f'{name}.txt', threshold))}\n")
    if "-v" in sys.argv:
        missed = [f"- {text}\n" for text, is_stopped in await stopped("attacks.txt") if not is_stopped]
        wrong = [f"+ {text}\n" for text, is_stopped in await stopped("harmless.txt") if is_stopped]
        sys.stdout.writelines([*missed, *wrong])


if __name__ == "__main__":
    asyncio.run(main())
