"""SQL that destroys, gives rights away, or changes all there is.

A text is read as SQL from a statement's first words to its semicolon, the end of its block, or an empty line. Of what
cannot be read, the words alone are looked at.

Source: sqlglot 30.30 (expressions of statements).
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.contract import Finding, GuardrailSpec, Hook, Subject
from gateway.guardrails.needs import needed
from gateway.manifests.guardrail_kinds import SqlConfig

MAX_SQL_CHARS = 20_000
"""Of all statements of a text; what goes beyond that is judged by its words."""
MAX_STATEMENTS = 50

_BEGINS = (
    r"(?is)\b(?:DROP\s+(?:TABLE|DATABASE|SCHEMA|VIEW|INDEX|USER|ROLE|FUNCTION|PROCEDURE|TRIGGER|COLUMN)|TRUNCATE\s+\w"
    r"|ALTER\s+(?:TABLE|DATABASE|SCHEMA|USER|ROLE|VIEW)|(?:GRANT|REVOKE)\s+(?:ALL|SELECT|INSERT|UPDATE|DELETE"
    r"|USAGE|EXECUTE|CREATE|CONNECT|REFERENCES)\b.{0,80}?\b(?:TO|FROM)\b"
    r"|DELETE\s+FROM\s+\S|UPDATE\s+\S+\s+SET\s)"
)
_ENDS = r";|```|\n\s*\n"
_COMMENT = r"(?s)--[^\n]*|/\*.*?\*/"
_LITERAL = r"=\s*(?:'[^']*'|[0-9]+)"
_WHERE = r"(?i)\bWHERE\b"


class SqlGuardrail:
    hooks = frozenset(Hook)
    is_quick = True

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, SqlConfig)
        self.name = spec.name
        self._config = config
        self._mutates = spec.redacts
        self._sqlglot = needed("sqlglot")
        logging.getLogger("sqlglot").setLevel(logging.ERROR)  # its warnings repeat what callers say
        engine = needed("re2")
        self._begins, self._ends, self._comment, self._literal, self._where = (
            engine.compile(each) for each in (_BEGINS, _ENDS, _COMMENT, _LITERAL, _WHERE)
        )

    async def check(self, subject: Subject) -> Finding:
        found: dict[str, int] = {}
        texts: list[str] = []
        for text in subject.texts:
            statements = [*self._statements(text.text)]
            texts.append(self._without_comments(text.text, statements) if self._mutates else text.text)
            if statements:
                for problem in await asyncio.to_thread(self._problems, statements):
                    found[problem] = found.get(problem, 0) + 1
        if found:
            return Finding("block", f"SQL that is not allowed: {', '.join(sorted(found))}", data=found)
        if self._mutates and texts != [text.text for text in subject.texts]:
            return Finding(message="comments in SQL taken out", texts=texts)
        return Finding()

    def _without_comments(self, text: str, statements: Iterable[str]) -> str:
        if not self._config.strip_comments:
            return text
        for statement in statements:
            text = text.replace(statement, self._comment.sub("", statement))
        return text

    def _problems(self, statements: Iterable[str]) -> list[str]:
        found: list[str] = []
        left = MAX_SQL_CHARS
        for statement in statements:
            found += self._of(statement, reads=len(statement) <= left)
            left -= len(statement)
        return found

    def _of(self, statement: str, *, reads: bool) -> Iterator[str]:
        config = self._config
        if config.require_parameterization and self._literal.search(statement):
            yield "a value that is no parameter"
        for kind, has_where in self._kinds(statement, reads=reads):
            match kind:
                case "DROP" if config.block_drop:
                    yield "DROP"
                case "TRUNCATE" if config.block_truncate:
                    yield "TRUNCATE"
                case "ALTER" if config.block_alter:
                    yield "ALTER"
                case "GRANT" if config.block_grant:
                    yield "GRANT"
                case "REVOKE" if config.block_revoke:
                    yield "REVOKE"
                case "DELETE" if config.block_delete_without_where and not has_where:
                    yield "DELETE without WHERE"
                case "UPDATE" if config.block_update_without_where and not has_where:
                    yield "UPDATE without WHERE"

    def _kinds(self, statement: str, *, reads: bool) -> Iterator[tuple[str, bool]]:
        """What it does, and whether to some rows only."""
        if reads:
            try:
                for tree in self._sqlglot.parse(statement):
                    yield from self._of_tree(tree, statement)
                return
            except (self._sqlglot.errors.SqlglotError, RecursionError):
                pass
        yield self._by_words(statement)

    def _of_tree(self, tree: Any, statement: str) -> Iterator[tuple[str, bool]]:
        names = {"TruncateTable": "TRUNCATE"}
        for node in tree.walk() if tree is not None else ():
            name = type(node).__name__
            if name in ("Drop", "Alter", "Grant", "Revoke", "Delete", "Update", "TruncateTable"):
                yield names.get(name, name.upper()), node.args.get("where") is not None
            elif name == "Command":  # what it knows by its first word alone
                yield self._by_words(statement)

    def _statements(self, text: str) -> Iterator[str]:
        """Each from its first word to its end."""
        for _ in range(MAX_STATEMENTS):
            begin = self._begins.search(text)
            if begin is None:
                return
            text = text[begin.start() :]
            end = self._ends.search(text, begin.end() - begin.start())
            size = end.start() if end is not None else len(text)
            yield text[:size]
            text = text[size:]

    def _by_words(self, statement: str) -> tuple[str, bool]:
        plain = self._comment.sub(" ", statement[:MAX_SQL_CHARS]).upper()
        return plain.split(None, 1)[0] if plain.strip() else "", self._where.search(plain) is not None


make = SqlGuardrail
