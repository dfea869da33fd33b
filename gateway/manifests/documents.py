"""YAML or JSON text -> documents."""

import yaml

from gateway.errors import Fault
from gateway.manifests.builder import TOO_DEEP, Builder, Document, Stop

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(text: str, file: str) -> tuple[list[Document], list[Fault]]:
    """All documents that are not empty, and all that is wrong. Nothing after a fault of syntax is read."""
    builder = Builder(file)
    try:
        builder.build(iter(_LOADER(text).get_event, None))  # as yaml.parse does, which takes twice as long
    except Stop as stop:
        builder.faults.append(stop.fault)
    except yaml.MarkedYAMLError as error:
        # The problem alone: the whole message may quote the line, which may hold a password.
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "this is not YAML"
        # Some versions of libyaml allow a thousand levels, and read so many brackets before the builder is told of one.
        problem = TOO_DEEP if "nesting" in problem else problem
        builder.faults.append(Fault(file, mark.line + 1 if mark else 0, "", problem))
    except (yaml.reader.ReaderError, UnicodeEncodeError) as error:
        at = error.position if isinstance(error, yaml.reader.ReaderError) else error.start
        line = text.encode(errors="replace")[:at].count(b"\n") + 1  # libyaml counts bytes
        builder.faults.append(Fault(file, line, "", "a character that is not allowed; escape it inside double quotes"))
    return builder.documents, builder.faults
