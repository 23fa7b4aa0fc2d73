"""Short ways to ask for a mutation and to see what came of it."""

from collections.abc import Mapping
from typing import Any

from gateway.sandbox.people import person
from tests.e2e.serving import Front

ERRORS = "userErrors { field code provider }"
SEGMENT = """segment {
  externalId name names { language text } descriptions { language text }
  membership emitsMembershipEvents status validity { from to } siteCode priority
  rule { native } version attributes origin
}"""
ROWS = f"results {{ index outcome {ERRORS} }} succeeded failed"
SEGMENT_ROWS = (
    f"results {{ index outcome segment {{ externalId version }} deletedSegmentId {ERRORS} }} "
    "succeeded failed"
)
ASSIGNMENT = """assignment {
  id kind state origin version createdAt updatedAt
  segment { externalId name } customer { name } legalEntity { externalId name }
}"""
ASSIGNMENT_ROWS = (
    "results { index outcome assignment { id state version } deletedAssignmentId "
    f"{ERRORS} }} succeeded failed"
)
REPLACED = f"updatedCustomerIds results {{ index externalId outcome {ERRORS} }}"

SELECTIONS: Mapping[str, str] = {
    "segmentCreate": SEGMENT,
    "segmentUpdate": SEGMENT,
    "segmentUpsert": f"created {SEGMENT}",
    "segmentDelete": "deletedSegmentId",
    "segmentBulkCreate": SEGMENT_ROWS,
    "segmentBulkUpsert": SEGMENT_ROWS,
    "segmentBulkDelete": SEGMENT_ROWS,
    "segmentsReorder": "segments { name priority }",
    "assignmentCreate": ASSIGNMENT,
    "assignmentDelete": "deletedAssignmentId",
    "assignmentBulkCreate": ASSIGNMENT_ROWS,
    "assignmentBulkDelete": ASSIGNMENT_ROWS,
    "customerSegmentsReplace": REPLACED,
    "customerAttributesUpdate": "customer { identities { externalId } attributes }",
    "segmentItemsBulkAssign": ROWS,
    "segmentItemsBulkUnassign": ROWS,
    "customersLink": "person { id }",
    "customersUnlink": "people { id }",
    "identityLinkDecide": "link { id }",
}
"""What is asked of each mutation's payload beside its user errors."""

EMPORIX = "/customer-segment/sandbox/segments"
REPLACE = "/api/v3/customers/segments"


def input_type(field: str) -> str:
    """Return the name of a mutation's input type."""
    of = "segmentItemsBulkAssign" if field.startswith("segmentItems") else field
    return f"{of[0].upper()}{of[1:]}Input"


def document(*fields: str, selection: str | None = None) -> str:
    """Return a document of mutations; the n-th has the variable and the alias `mn`."""
    variables = ", ".join(f"$m{n}: {input_type(field)}!" for n, field in enumerate(fields))
    roots = (
        f"m{n}: {field}(input: $m{n}) {{ {selection or SELECTIONS[field]} {ERRORS} }}"
        for n, field in enumerate(fields)
    )
    return f"mutation({variables}) {{ {' '.join(roots)} }}"


async def do(front: Front, field: str, given: Mapping[str, Any], selection: str = "") -> Any:
    """Return the payload of one mutation, in an answer that must have no errors."""
    data = await front.data(document(field, selection=selection or None), {"m0": given})
    return data["m0"]


def problem(field: str | None, code: str, provider: str | None) -> dict[str, Any]:
    """Return a user error as a client sees it; `field` with dots."""
    return {
        "field": None if field is None else field.split("."),
        "code": code,
        "provider": provider,
    }


def shoppers(count: int) -> list[str]:
    """Return the document ids of customers that Instaleap knows."""
    return [person(2 * n).instaleap_id or "" for n in range(count)]


def buyers(count: int) -> list[str]:
    """Return the ids of customers that Emporix knows."""
    known = (person(n).emporix_id for n in range(count * 2))
    return [each for each in known if each][:count]
