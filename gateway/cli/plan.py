"""From files to steps: which manifests are applied, which are deleted, and in which order."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli import git
from gateway.cli.steps import Step
from gateway.cli.terminal import failed, printable
from gateway.control.schema import Listing, Managed
from gateway.errors import ConfigError, Fault
from gateway.manifests import Manifest, load, loads
from gateway.manifests.files import SUFFIXES
from gateway.manifests.kinds import rank_of

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi


def plan_for(manifests: Iterable[Manifest]) -> list[Step]:
    ordered = sorted(manifests, key=lambda manifest: rank_of(manifest.type))
    return [Step(manifest.type, manifest.name, _where(manifest), manifest.data) for manifest in ordered]


def plan_for_differing(
    api: "ControlApi", directory: Path, manifests: Sequence[Manifest], ref: str, *, sync: bool
) -> list[Step]:
    """Applies those of files that are not as in a commit; with `sync`, deletes those that only that commit has."""
    differing = git.differing(directory, ref)
    files = {os.path.realpath(directory / file) for file in differing.now}
    steps = plan_for(manifest for manifest in manifests if os.path.realpath(manifest.file) in files)
    if sync:
        there = {(manifest.type, manifest.name) for manifest in manifests}
        before = _before(directory, differing)
        vanished = [manifest for manifest in before if (manifest.type, manifest.name) not in there]
        steps += [step._replace(data=None) for step in reversed(plan_for(vanished)) if _is_ours(api, step)]
    return steps


def read(files: Sequence[str], directory: Path | None) -> list[Manifest]:
    """All manifests of the files, `-` being standard input, or of the directory. Shows all faults, if there are any."""
    manifests: list[Manifest] = []
    faults: list[Fault] = []
    for source in files if directory is None else [str(directory)]:
        try:
            manifests += _from_stdin() if source == "-" else load(source)
        except ConfigError as error:
            faults += error.faults
    first: dict[tuple[str, str], Manifest] = {}
    for manifest in manifests:
        other = first.setdefault((manifest.type, manifest.name), manifest)
        if other is not manifest:
            text = f"a second {manifest.type} named {manifest.name!r}; the first is in {_where(other)}"
            faults.append(manifest.fault(("name",), text))
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise failed("\n".join([f"{count}, so nothing was sent", *map(str, faults)]))
    return manifests


def _from_stdin() -> list[Manifest]:
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise failed("what came on standard input is not UTF-8 text") from None
    is_json = text.lstrip()[:1] in ("{", "[")
    return loads(text, "stdin.json" if is_json else "stdin")


def _before(directory: Path, differing: git.Differing) -> list[Manifest]:
    """The manifests that a commit has in files that are changed or gone."""
    manifests: dict[tuple[str, str], Manifest] = {}
    for file in differing.before:
        if file.suffix not in SUFFIXES or any(part.startswith(".") for part in file.parts):
            continue
        text = git.content(directory, differing.commit, file).decode("utf-8-sig", "replace")
        try:
            found = loads(text, f"{differing.commit[:12]}:{file}")
        except ConfigError as error:
            # It could not be applied as it was, so nothing is there because of it.
            click.echo(f"{printable(str(error.faults[0]))}; nothing of this old version is deleted (warning)", err=True)
            continue
        manifests |= {(manifest.type, manifest.name): manifest for manifest in found}
    return list(manifests.values())


def _is_ours(api: "ControlApi", step: Step) -> bool:
    """Whether the gateway has it, and not from a file of its own."""
    query = {"type": step.type, "name": step.name}
    for manifest in api.ask("GET", "manifests", kind=Listing[Managed], query=query).data:
        if (manifest.type, manifest.name) == (step.type, step.name):
            if manifest.managed_by == "api":
                return True
            click.echo(printable(f"kept {step}: managed by {manifest.managed_by}"), err=True)
    return False


def _where(manifest: Manifest) -> str:
    return f"{manifest.file}:{manifest.line}"
