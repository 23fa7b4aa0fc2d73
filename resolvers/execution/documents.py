"""Check the limits of each document once, then parse and validate it once."""

from functools import partial
from time import perf_counter

from graphql import DocumentNode, GraphQLError, GraphQLSchema, parse, validate

from gateway.context import PhaseRecord
from gateway.errors import Forbidden, GatewayError
from gateway.limits.settings import LimitSettings
from resolvers.execution.document import CacheUses, Document
from resolvers.execution.document_limits import DocumentSize, parsed
from resolvers.execution.document_shapes import Shapes
from resolvers.execution.quick_validation import is_surely_valid
from resolvers.execution.slru_cache import SegmentedLruCache

MAX_CACHED_CHARACTERS = 20_000
"""A longer document is not cached."""

PARSE, VALIDATE = "parse", "validate"

MAX_ERRORS = 3
"""Validation errors per document in a response: some messages quote whole inputs."""


class Documents:
    """The documents of one schema."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: LimitSettings | None = None,
        *,
        explores: bool = True,
        compiles: bool = True,
    ) -> None:
        """Start empty. `explores`: documents may introspect, and errors may suggest names.

        Without `compiles`, graphql-core parses and validates every document.
        """
        self._schema = schema
        self._limits = limits or LimitSettings()
        self._explores = explores
        self._compiles = compiles
        self._cache: SegmentedLruCache[Document] = SegmentedLruCache()
        self._trusted: dict[str, Document] = {}
        self.uses = CacheUses()
        self._shapes = Shapes(schema, self._document)

    def read(self, text: str) -> Document:
        """Return the document of this text, within its limits, parsed and validated."""
        document = self._cache.get(text) or self._trusted.get(text)
        # With keys of its own, each response would be made twice: once is cheaper than a plan.
        comes_again = document is not None and document.own_keys is not None
        if document is not None and not comes_again:
            self.uses.document_hits += 1
            return document
        is_cached = len(text) <= MAX_CACHED_CHARACTERS
        is_shared = is_cached and self._compiles and not comes_again
        document, shape = None, self._shapes.shape_of(text) if is_shared else None
        if shape is not None and len(text) <= self._limits.characters:
            document = self._shapes.document(*shape)
        if document is not None:
            self.uses.document_hits += 1
        else:
            self.uses.document_misses += 1
            document = self._read(text)
            if is_cached:
                document.is_cached, document.size = True, len(text)
                document.on_growth = partial(self._cache.grown, text)
            if shape is not None:
                self._shapes.add(*shape, document)
        if is_cached:
            self._cache.put(text, document)
        return document

    def _read(self, text: str) -> Document:
        times = [perf_counter()]
        try:
            node = parsed(text, self._limits, quickly=self._compiles)
            times.append(perf_counter())
            size = DocumentSize(node, self._limits)
            if size.introspects and not self._explores:
                document = self._invalid(
                    Forbidden("Introspection is not allowed: __schema and __type.")
                )
            else:
                document = self._validated(node)
        except (GatewayError, GraphQLError, RecursionError) as error:
            document = self._invalid(error)
        times.append(perf_counter())
        document.phases = [
            PhaseRecord(name, start, end - start)
            for name, start, end in zip((PARSE, VALIDATE), times, times[1:], strict=False)
        ]
        return document

    def trust(self, text: str) -> Document:
        """Cache a document forever, without limits, unless it is invalid."""
        try:
            document = self._validated(parse(text))
        except (GraphQLError, RecursionError) as error:
            return self._invalid(error)
        if document.is_good:
            document.is_cached = document.is_trusted = True
            self._trusted[text] = document
        return document

    def _validated(self, node: DocumentNode) -> Document:
        if not (self._compiles and is_surely_valid(self._schema, node)):
            errors = validate(
                self._schema, node, max_errors=MAX_ERRORS, hide_suggestions=not self._explores
            )
            if errors:
                return self._invalid(*errors)
        return self._document(node)

    def _document(self, node: DocumentNode) -> Document:
        return Document(self._schema, node, explores=self._explores, uses=self.uses)

    def _invalid(self, *errors: Exception) -> Document:
        graphql_errors = []
        for error in errors:
            if isinstance(error, GraphQLError):
                graphql_errors.append(error)
            elif isinstance(error, GatewayError):
                graphql_errors.append(GraphQLError(str(error), original_error=error))
            else:
                graphql_errors.append(GraphQLError("The document is nested too deeply."))
        return Document(self._schema, None, graphql_errors, explores=self._explores)
