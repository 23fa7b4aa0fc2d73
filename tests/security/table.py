"""Who may see and do what: written down by hand, to hold the declarations against.

One row: the scopes that are needed together, whether `own:read` will do instead, a type, and its
fields.
"""

from typing import NamedTuple

SEGMENTS, ASSIGNMENTS, CUSTOMERS = "segments:read", "assignments:read", "customers:read"
RAW = "raw:read"
OWN, NOT_OWN = True, False

ROWS = (
    # What is read at the root.
    ("", OWN, "Query", "node nodes provider providers"),
    (SEGMENTS, OWN, "Query", "segment"),
    (SEGMENTS, NOT_OWN, "Query", "segments segmentItemsMatch"),
    (CUSTOMERS, OWN, "Query", "customer"),
    (CUSTOMERS, NOT_OWN, "Query", "customers"),
    (ASSIGNMENTS, NOT_OWN, "Query", "segmentMemberships"),
    # Providers.
    ("", OWN, "Provider", "id key kind displayName"),
    (SEGMENTS, NOT_OWN, "Provider", "capabilities limits health segments webhooks"),
    (SEGMENTS, NOT_OWN, "ProviderLimit", "name maximum current"),
    # Segments.
    (
        SEGMENTS,
        OWN,
        "Segment",
        (
            "id provider externalId name names description descriptions membership status "
            "isActive validity siteCode priority createdAt updatedAt version origin"
        ),
    ),
    (SEGMENTS, NOT_OWN, "Segment", "emitsMembershipEvents rule attributes items"),
    (f"{SEGMENTS} {RAW}", NOT_OWN, "Segment", "raw"),
    (ASSIGNMENTS, NOT_OWN, "Segment", "assignments customersCount sizeHistory"),
    (f"{ASSIGNMENTS} {CUSTOMERS}", NOT_OWN, "Segment", "customers"),
    (SEGMENTS, NOT_OWN, "SegmentItem", "externalId type code name names createdAt updatedAt"),
    # Customers.
    (CUSTOMERS, OWN, "Customer", "id identities name email phone"),
    (CUSTOMERS, NOT_OWN, "Customer", "attributes"),
    (f"{CUSTOMERS} {RAW}", NOT_OWN, "Customer", "raw"),
    (ASSIGNMENTS, OWN, "Customer", "assignments"),
    (f"{ASSIGNMENTS} {SEGMENTS}", OWN, "Customer", "segments primarySegment"),
    (CUSTOMERS, OWN, "CustomerIdentity", "provider externalId key linkedBy linkedAt"),
    (CUSTOMERS, OWN, "Customer", "person"),
    # Persons.
    (CUSTOMERS, OWN, "Query", "person"),
    (CUSTOMERS, NOT_OWN, "Query", "people identityLinks"),
    (CUSTOMERS, OWN, "Person", "id customers sources"),
    (CUSTOMERS, NOT_OWN, "Person", "links"),
    (f"{ASSIGNMENTS} {SEGMENTS}", OWN, "Person", "segments"),
    (ASSIGNMENTS, OWN, "Person", "assignments"),
    (
        CUSTOMERS,
        NOT_OWN,
        "IdentityLink",
        "id a b origin rule state createdAt createdBy note",
    ),
    (CUSTOMERS, NOT_OWN, "IdentityLinkConnection", "edges nodes pageInfo totalCount"),
    (CUSTOMERS, NOT_OWN, "IdentityLinkEdge", "cursor node"),
    # Assignments.
    (
        ASSIGNMENTS,
        OWN,
        "Assignment",
        "id provider legalEntity kind state origin createdAt updatedAt version",
    ),
    (SEGMENTS, OWN, "Assignment", "segment"),
    (CUSTOMERS, OWN, "Assignment", "customer"),
    (ASSIGNMENTS, NOT_OWN, "SegmentMembership", "customerId segmentId isMember origin"),
    (f"{ASSIGNMENTS} {CUSTOMERS}", NOT_OWN, "SegmentMembership", "customer"),
    (f"{ASSIGNMENTS} {SEGMENTS}", NOT_OWN, "SegmentMembership", "segment"),
    (ASSIGNMENTS, NOT_OWN, "SegmentSizePoint", "at count precision entered left"),
    # Comparisons.
    (f"{ASSIGNMENTS} {CUSTOMERS}", NOT_OWN, "Query", "segmentsCompare"),
    (f"{ASSIGNMENTS} {CUSTOMERS}", NOT_OWN, "SegmentsComparison", "sets regions total asOf"),
    (f"{ASSIGNMENTS} {CUSTOMERS}", NOT_OWN, "ComparedSegment", "count unlinked asOf"),
    (f"{ASSIGNMENTS} {CUSTOMERS} {SEGMENTS}", NOT_OWN, "ComparedSegment", "segment"),
    (f"{ASSIGNMENTS} {CUSTOMERS}", NOT_OWN, "ComparisonRegion", "segmentIds count customers"),
    # The change log.
    ("", OWN, "Query", "changesCursor changes"),
    ("", OWN, "Change", "id cursor occurredAt recordedAt provider source kind"),
    (
        ASSIGNMENTS,
        OWN,
        "AssignmentChange",
        "id cursor occurredAt recordedAt provider source kind segmentId customerId legalEntity",
    ),
    (SEGMENTS, OWN, "AssignmentChange", "segment"),
    (CUSTOMERS, OWN, "AssignmentChange", "customer"),
    (
        SEGMENTS,
        NOT_OWN,
        "SegmentChange",
        "id cursor occurredAt recordedAt provider source kind segmentId segment",
    ),
    ("", OWN, "Subscription", "changed"),
    (ASSIGNMENTS, OWN, "Subscription", "assignmentChanged"),
    (SEGMENTS, NOT_OWN, "Subscription", "segmentChanged providerHealthChanged"),
    ("", OWN, "ChangeConnection", "edges nodes pageInfo"),
    ("", OWN, "ChangeEdge", "cursor node"),
    # What is changed.
    (
        "segments:write",
        NOT_OWN,
        "Mutation",
        (
            "segmentCreate segmentUpdate segmentUpsert segmentDelete segmentBulkCreate "
            "segmentBulkUpsert segmentBulkDelete segmentsReorder segmentItemsBulkAssign "
            "segmentItemsBulkUnassign"
        ),
    ),
    (
        "assignments:write",
        NOT_OWN,
        "Mutation",
        (
            "assignmentCreate assignmentDelete assignmentBulkCreate assignmentBulkDelete "
            "customerSegmentsReplace"
        ),
    ),
    ("customers:write", NOT_OWN, "Mutation", "customerAttributesUpdate"),
    (
        f"identity:write {CUSTOMERS}",
        NOT_OWN,
        "Mutation",
        "customersLink customersUnlink identityLinkDecide",
    ),
    # What leads to the rest, or is a part of what was decided already.
    ("", OWN, "Node", "id"),
    *(
        ("", OWN, f"{of}Connection", "edges nodes pageInfo totalCount sources")
        for of in (
            "Assignment",
            "Customer",
            "Person",
            "Segment",
            "SegmentItem",
        )
    ),
    *(
        ("", OWN, f"{of}Edge", "cursor node")
        for of in (
            "Assignment",
            "Customer",
            "Person",
            "Segment",
            "SegmentItem",
        )
    ),
    ("", OWN, "PageInfo", "hasNextPage hasPreviousPage startCursor endCursor"),
    ("", OWN, "Source", "provider origin fetchedAt totalCount error skipped"),
    ("", OWN, "SourceError", "code message retryable retryAfterMs upstreamStatus requestId"),
    ("", OWN, "Capability", "operation supported note"),
    ("", OWN, "Count", "count precision"),
    ("", OWN, "DateTimeRange", "from to"),
    ("", OWN, "LegalEntity", "id name externalId"),
    ("", OWN, "LocalizedText", "language text"),
    ("", OWN, "MatchedItem", "externalId"),
    (
        "",
        OWN,
        "ProviderHealth",
        "status circuit latencyMsP50 latencyMsP95 lastSuccessAt lastError",
    ),
    (
        "",
        OWN,
        "ProviderWebhooks",
        "state lastReceivedAt lastRejectedAt lastRejection receivedLast24h",
    ),
    ("", OWN, "RuleCondition", "path field operator values"),
    ("", OWN, "SegmentRule", "native expression conditions"),
    ("", OWN, "UserError", "field message code provider requestId"),
    ("", OWN, "SegmentCreatePayload", "userErrors segment"),
    ("", OWN, "SegmentUpdatePayload", "userErrors segment"),
    ("", OWN, "SegmentUpsertPayload", "userErrors segment created"),
    ("", OWN, "SegmentDeletePayload", "userErrors deletedSegmentId"),
    ("", OWN, "SegmentBulkPayload", "userErrors succeeded failed results"),
    ("", OWN, "SegmentBulkResult", "index outcome userErrors segment deletedSegmentId"),
    ("", OWN, "SegmentsReorderPayload", "userErrors segments"),
    ("", OWN, "SegmentItemsBulkPayload", "userErrors succeeded failed results"),
    ("", OWN, "SegmentItemsBulkResult", "index outcome userErrors"),
    ("", OWN, "AssignmentCreatePayload", "userErrors assignment"),
    ("", OWN, "AssignmentDeletePayload", "userErrors deletedAssignmentId"),
    ("", OWN, "AssignmentBulkPayload", "userErrors succeeded failed results"),
    ("", OWN, "AssignmentBulkResult", "index outcome userErrors assignment deletedAssignmentId"),
    ("", OWN, "CustomerAttributesUpdatePayload", "userErrors customer"),
    ("", OWN, "CustomersLinkPayload", "userErrors person links"),
    ("", OWN, "CustomersUnlinkPayload", "userErrors people"),
    ("", OWN, "IdentityLinkDecidePayload", "userErrors link"),
    ("", OWN, "CustomerSegmentsReplacePayload", "userErrors updatedCustomerIds results"),
    ("", OWN, "CustomerSegmentsReplaceResult", "index externalId outcome userErrors"),
)


class Rule(NamedTuple):
    """What one field needs."""

    scopes: frozenset[str]
    own: bool


TABLE = {
    f"{kind}.{field}": Rule(frozenset(scopes.split()), own)
    for scopes, own, kind, fields in ROWS
    for field in fields.split()
}
"""What each field of the schema needs, by its coordinate."""
