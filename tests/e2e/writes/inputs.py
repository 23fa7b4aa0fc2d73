"""Sound inputs of every mutation for every provider, and what nothing done looks like."""

from collections.abc import Mapping
from typing import Any

from tests.e2e.known import APP_BETA, DACH_STRATEGIC
from tests.e2e.serving import customer_id, segment_id

STUUT = segment_id("stuut", DACH_STRATEGIC)
VOUCHERIFY = segment_id("voucherify", APP_BETA)
INSTALEAP = segment_id("instaleap", "membership:GOLD")
GOLDEN = segment_id("emporix", "golden")
EMPTY: Mapping[str, Mapping[str, Any]] = {
    "segmentCreate": {"segment": None},
    "segmentUpdate": {"segment": None},
    "segmentUpsert": {"segment": None, "created": None},
    "segmentDelete": {"deletedSegmentId": None},
    "segmentBulkCreate": {"results": [], "succeeded": 0, "failed": 0},
    "segmentBulkUpsert": {"results": [], "succeeded": 0, "failed": 0},
    "segmentBulkDelete": {"results": [], "succeeded": 0, "failed": 0},
    "segmentsReorder": {"segments": None},
    "assignmentCreate": {"assignment": None},
    "assignmentDelete": {"deletedAssignmentId": None},
    "assignmentBulkCreate": {"results": [], "succeeded": 0, "failed": 0},
    "assignmentBulkDelete": {"results": [], "succeeded": 0, "failed": 0},
    "customerSegmentsReplace": {"updatedCustomerIds": [], "results": []},
    "customerAttributesUpdate": {"customer": None},
    "segmentItemsBulkAssign": {"results": [], "succeeded": 0, "failed": 0},
    "segmentItemsBulkUnassign": {"results": [], "succeeded": 0, "failed": 0},
}
"""What a payload has when nothing was done."""

BY_PROVIDER: Mapping[str, Mapping[str, Any]] = {
    "segmentCreate": {"provider": "{}", "name": "A"},
    "segmentUpdate": {"id": "segment", "name": "A"},
    "segmentUpsert": {"provider": "{}", "externalId": "a", "name": "A", "siteCode": "main"},
    "segmentDelete": {"id": "segment"},
    "segmentBulkCreate": {"provider": "{}", "segments": [{"name": "A"}]},
    "segmentBulkUpsert": {"provider": "{}", "segments": [{"externalId": "a"}]},
    "segmentsReorder": {"provider": "{}", "ids": []},
    "assignmentCreate": {"segmentId": "segment", "customerId": "customer"},
    "assignmentDelete": {"segmentId": "segment", "customerId": "customer"},
    "assignmentBulkCreate": {"segmentId": "segment", "assignments": [{"customerId": "customer"}]},
    "assignmentBulkDelete": {"segmentId": "segment", "assignments": [{"customerId": "customer"}]},
    "customerSegmentsReplace": {"provider": "{}", "customers": [{"externalId": "1"}]},
    "customerAttributesUpdate": {"customerId": "customer", "attributes": {"a": "A"}},
    "segmentItemsBulkAssign": {
        "segmentId": "segment",
        "items": [{"externalId": "p1001", "type": "PRODUCT"}],
    },
    "segmentItemsBulkUnassign": {
        "segmentId": "segment",
        "items": [{"externalId": "p1001", "type": "PRODUCT"}],
    },
}
"""A sound input of each mutation; `{}`, `segment` and `customer` are those of a provider."""
SEGMENT_OF = {
    "stuut": STUUT,
    "voucherify": VOUCHERIFY,
    "instaleap": INSTALEAP,
    "emporix": GOLDEN,
}


def given_for(field: str, provider: str) -> Mapping[str, Any]:
    """Return a sound input of a mutation for a provider."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(part) for name, part in value.items()}
        if isinstance(value, list):
            return [filled(part) for part in value]
        words = {
            "{}": provider,
            "segment": SEGMENT_OF[provider],
            "customer": customer_id(provider, "1"),
        }
        return words.get(value, value)

    result: Mapping[str, Any] = filled(BY_PROVIDER[field])
    return result
