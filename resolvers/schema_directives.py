"""Directives of the schema: what types cannot say about fields.

Clients read them in the schema definition language; introspection has no directives of fields.
"""

import strawberry
from strawberry.schema_directive import Location


@strawberry.schema_directive(
    name="semanticNonNull",
    locations=[Location.FIELD_DEFINITION],
    description="The field is null only if `errors` has an error with its path, or with a longer "
    "one that starts with it. A client that handles these errors may treat the field as non-null. "
    "`levels`: 0 is the field itself, 1 the items of its list. "
    "https://specs.apollo.dev/nullability/v0.4/#@semanticNonNull",
)
class SemanticNonNull:
    """See the description."""

    levels: list[int] = strawberry.directive_field(name="levels", default=(0,))


# Unset: printed without its argument, which has this default.
NULL_ONLY_ON_ERROR = SemanticNonNull(levels=strawberry.UNSET)
"""For fields that resolve to null in no other case, whatever a provider supports."""
