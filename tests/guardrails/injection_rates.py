"""How much of the corpus the rules for prompt injection catch, and how many harmless texts they stop.

    python tests/guardrails/injection_rates.py

Every third text was left aside while the rules were first written, and is counted by itself. Those in `*_blind.txt`
were written before the rules were last changed, and not looked at until that was done.
"""

import asyncio
import sys
from pathlib import Path

from gateway.contract import GuardrailSpec, Hook, Subject, Text
from gateway.guardrails.injection import InjectionGuardrail
from gateway.manifests.guardrail_kinds import InjectionConfig

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
        for name in ("attacks.txt", "harmless.txt", "attacks_blind.txt", "harmless_blind.txt"):
            results = await stopped(name, threshold)
            sys.stdout.write(f"{threshold} {name}: {rate(results)}; of those left aside: {rate(results[2::3])}\n")
    if "-v" in sys.argv:
        missed = [f"- {text}\n" for text, is_stopped in await stopped("attacks.txt") if not is_stopped]
        wrong = [f"+ {text}\n" for text, is_stopped in await stopped("harmless.txt") if is_stopped]
        sys.stdout.writelines([*missed, *wrong])


if __name__ == "__main__":
    asyncio.run(main())
