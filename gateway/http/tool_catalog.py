"""The tools of a gateway: trusted documents that agents can call by name."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.errors import BadInput, Problem, SettingsError
from gateway.tools.documents import ToolDocument

_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
"""What clients and models accept; GraphQL allows no other characters, but any length."""


class Tool(NamedTuple):
    """A tool: the operation of a trusted document."""

    name: str
    document: ToolDocument
    description: str
    input_schema: Mapping[str, Any]
    """The JSON Schema of its arguments."""


class TrustsDocuments(Protocol):
    """The part of an executor that is needed here."""

    def document(self, text: str, *, explores: bool) -> Any:
        """Return a document, parsed and validated."""

    def trust(self, text: str) -> Sequence[str]:
        """Cache a document permanently; return the problems with it."""


def tools_of(documents: Sequence[ToolDocument], operations: TrustsDocuments) -> Sequence[Tool]:
    """Trust the documents, and return their tools. Raises `SettingsError` with all problems."""
    tools: dict[str, Tool] = {}
    problems: list[Problem] = []
    for document in documents:
        texts = operations.trust(document.text)
        try:
            if not texts:
                tool = _tool(document, operations.document(document.text, explores=True).as_tool())
                if tools.setdefault(tool.name, tool) is not tool:
                    other = tools[tool.name].document.place
                    texts = [f"{other} has the name {tool.name}, too"]
        except BadInput as error:
            texts = [str(error)]
        problems += [Problem(document.setting, f"{document.place}: {each}") for each in texts]
    if problems:
        raise SettingsError(problems)
    return [*tools.values()]


def _tool(document: ToolDocument, operation: Any) -> Tool:
    if operation.kind == "subscription":
        raise BadInput("a subscription cannot be a tool")
    if (operation.kind == "mutation") != document.writes:
        raise BadInput("a mutation must say `# writes: true` above it, and a query must not")
    if not _NAME.fullmatch(operation.name):
        raise BadInput("the name of a tool has at most 64 characters")
    return Tool(operation.name, document, operation.description, operation.input_schema)
