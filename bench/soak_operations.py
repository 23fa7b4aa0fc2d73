"""The operations of the soak test: all kinds of reads, and every supported mutation."""

import random
from collections import deque
from collections.abc import Mapping
from typing import Any

from gateway.domain.entities import Ref
from gateway.sandbox.people import people
from resolvers import global_ids
from resolvers.global_ids import Kind

WRITES_EVERY = 5

ERROR = "error { code message retryable retryAfterMs upstreamStatus requestId }"
QUERIES = (
    "{ segments(first: %d) { nodes { name raw } sources { origin fetchedAt ERROR } } }",
    "{ customers(first: %d) { nodes { name email } sources { ERROR } } }",
    """{ customer(identity: {provider: "emporix", externalId: "9000%04d"}) {
      name assignments { nodes { kind segment { name status } } sources { ERROR } }
    } }""",
    """{ customer(identity: {provider: "voucherify", externalId: "crm-%04d"}) {
      email segments { nodes { name } sources { ERROR } }
    } }""",
    """{ provider(key: "stuut") {
      health { status circuit } segments(first: %d) { totalCount }
    } }""",
    """{ segments(first: %d, sortKey: NAME, filter: {providers: ["stuut", "emporix"]}) {
      nodes { name } sources { ERROR }
    } }""",
)
NESTED = """{ customers(first: %d) {
  nodes { name segments { nodes { name customersCount { count } } sources { ERROR } } }
  sources { ERROR }
} }"""
"""Many calls; one in twenty operations."""

WHAT = "userErrors { code }"
ROWS = f"results {{ outcome {WHAT} }} {WHAT}"
PAYLOADS: Mapping[str, str] = {
    "segmentCreate": f"segment {{ id name }} {WHAT}",
    "segmentUpdate": f"segment {{ version }} {WHAT}",
    "segmentUpsert": f"created segment {{ name }} {WHAT}",
    "segmentDelete": f"deletedSegmentId {WHAT}",
    "segmentsReorder": f"segments {{ priority }} {WHAT}",
    "segmentBulkCreate": ROWS,
    "segmentBulkUpsert": ROWS,
    "segmentBulkDelete": ROWS,
    "assignmentCreate": f"assignment {{ state }} {WHAT}",
    "assignmentDelete": f"deletedAssignmentId {WHAT}",
    "assignmentBulkCreate": ROWS,
    "assignmentBulkDelete": ROWS,
    "customerSegmentsReplace": ROWS,
    "segmentItemsBulkAssign": ROWS,
    "segmentItemsBulkUnassign": ROWS,
}
"""Every mutation, and the selection in its payload."""

KEYS = 40
"""Segments that are written at Emporix, names at Stuut, customers anywhere: so the
sandbox's state stays small."""

GERMANS = {"address": {"country": {"in": ["DE"]}}}

MADE_AT_VOUCHERIFY = 20
"""The largest number of segments left there: each has a new id."""


class Operations:
    """Generates operations; most writes are valid, and of few objects, so that they collide."""

    def __init__(self, chance: random.Random) -> None:
        """Use the sandbox's customers."""
        self._chance = chance
        cast = list(people(KEYS * 3))
        self._shoppers = [each.instaleap_id for each in cast if each.instaleap_id][:KEYS]
        self._buyers = [each.emporix_id for each in cast if each.emporix_id][:KEYS]
        self._members = [each.voucherify_id for each in cast if each.voucherify_id][:3]
        self._made: deque[str] = deque()
        """Segments at Voucherify that may be deleted, the oldest first."""
        self._ranked: deque[str] = deque(maxlen=3)
        """Segments of Stuut."""

    def next(self) -> Mapping[str, Any]:
        """Return the body of the next request."""
        if self._chance.randrange(WRITES_EVERY):
            query = self._chance.choice(QUERIES) if self._chance.randrange(20) else NESTED
            return {"query": query.replace("ERROR", ERROR) % self._chance.randrange(1, 60)}
        name, given = self._write()
        form = f"{name[0].upper()}{name[1:]}Input".replace("Unassign", "Assign")
        query = f"mutation($given: {form}!) {{ {name}(input: $given) {{ {PAYLOADS[name]} }} }}"
        return {"query": query, "variables": {"given": given}}

    def take_in(self, body: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Note a created segment that has to be deleted later."""
        created = ((answer.get("data") or {}).get("segmentCreate") or {}).get("segment")
        if created:
            provider = body["variables"]["given"]["provider"]
            if provider == "voucherify":
                self._made.append(created["id"])
            elif provider == "stuut":
                self._ranked.append(created["id"])

    def _write(self) -> tuple[str, Mapping[str, Any]]:
        """Return the name of a mutation and its input."""
        name = self._chance.choice(list(PAYLOADS))
        if len(self._made) > MADE_AT_VOUCHERIFY:
            name = "segmentDelete"
        given = self._given(name)
        if self._chance.randrange(3) == 0:
            # Some come twice: with the same input, or with another.
            given = {**given, "idempotencyKey": f"soak-{self._chance.randrange(10_000)}"}
        return name, given

    def _given(self, name: str) -> Mapping[str, Any]:
        number = self._chance.randrange(KEYS)
        segment = global_ids.of_ref(Kind.SEGMENT, Ref("emporix", f"soak-{number}"))
        one = {"name": f"Soak {number}", "siteCode": "main"}
        some = [{**one, "externalId": f"soak-{n % KEYS}"} for n in range(number, number + 5)]
        who = {"identity": {"provider": "emporix", "externalId": self._buyers[number]}}
        rows = [{"identity": {"provider": "emporix", "externalId": k}} for k in self._buyers[:7]]
        tags = [{"type": "soak", "value": str(self._chance.randrange(3))}]
        if name == "segmentDelete" and self._made:
            return {"id": self._made.popleft()}
        if name == "segmentCreate":
            return self._chance.choice(
                [
                    {"provider": "stuut", "name": f"Soak {number}", "rule": {"native": GERMANS}},
                    {
                        "provider": "voucherify",
                        "name": f"Soak {number}",
                        "customerExternalIds": self._members,
                    },
                    {"provider": "emporix", "externalId": f"soak-{number}", **one},
                ]
            )
        replaced = [{"externalId": each, "segmentIds": [segment]} for each in self._buyers[:5]]
        tagged = [{"externalId": each, "segments": tags} for each in self._shoppers[:5]]
        inputs: Mapping[str, Mapping[str, Any]] = {
            "segmentUpdate": {"id": segment, "name": f"Other {number}"},
            "segmentUpsert": {"provider": "emporix", "externalId": f"soak-{number}", **one},
            "segmentDelete": {"id": segment, "force": True},
            "segmentsReorder": {"provider": "stuut", "ids": [*self._ranked]},
            "segmentBulkCreate": {"provider": "emporix", "segments": some},
            "segmentBulkUpsert": {"provider": "emporix", "segments": some},
            "segmentBulkDelete": {"ids": [segment], "force": True},
            "assignmentCreate": {"segmentId": segment, **who},
            "assignmentDelete": {"segmentId": segment, **who},
            "assignmentBulkCreate": {"segmentId": segment, "assignments": rows},
            "assignmentBulkDelete": {"segmentId": segment, "assignments": rows},
            "customerSegmentsReplace": self._chance.choice(
                [
                    {"provider": "emporix", "customers": replaced},
                    {"provider": "instaleap", "customers": tagged},
                ]
            ),
            "segmentItemsBulkAssign": {
                "segmentId": segment,
                "items": [{"externalId": "p1001", "type": "PRODUCT"}],
            },
        }
        return inputs[name.replace("Unassign", "Assign")]
