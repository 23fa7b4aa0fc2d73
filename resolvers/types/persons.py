"""Persons, and the links between their customers."""

import strawberry

from gateway import context
from gateway.identity.graph import Edge
from gateway.identity.person import Person as PersonValue
from resolvers.field_declarations import View, attribute, computed, read, read_all
from resolvers.field_resolvers import connections, persons
from resolvers.inputs.identity import LinkOrigin, LinkState
from resolvers.types.nodes import (
    CUSTOMERS,
    NODES,
    OWN_ASSIGNED_SEGMENTS,
    OWN_ASSIGNMENTS,
    OWN_CUSTOMERS,
    Assignment,
    Connection,
    Customer,
    Node,
    Segment,
    Source,
)
from resolvers.value_types import DateTime, PageInfo


@strawberry.type(description="A link between two customers. A pair of customers has one link.")
class IdentityLink(Node):
    """See the description."""

    requirement = CUSTOMERS

    value: strawberry.Private[Edge]

    a: Customer | None = read_all(
        persons.link_a, "One customer; null if deleted, or (with an error) if its provider fails."
    )
    b: Customer | None = read_all(persons.link_b, "The other customer; null as `a`.")
    origin: LinkOrigin = attribute("origin", "How it came about.")
    rule: str | None = attribute("rule", "The name of the rule; null if no rule made it.")
    state: LinkState = attribute("state", "Whether it connects the two.")
    created_at: DateTime = attribute(
        "created_at",
        "When it was decided. For a rule: when this gateway had seen both customers with the "
        "value that they share.",
    )
    created_by: str | None = computed(
        persons.link_created_by,
        "Who decided: `key:` and the name of an API key, `jwt:` and a digest, or `anonymous`; "
        "null for a rule. Needs `identity:write`, else null.",
    )
    note: str | None = attribute("note", "A note about the decision.")


@strawberry.type(
    description="A person or company: the customers of all providers that links connect. Every "
    "customer has a person; without links it is a person of one."
)
class Person(Node):
    """See the description."""

    requirement = OWN_CUSTOMERS

    value: strawberry.Private[PersonValue]

    customers: list[Customer] = read(
        persons.person_customers,
        "The customers, in configuration order, then oldest first. Of one whose provider fails "
        "only the id is known; its other fields are null, with an error.",
    )
    links: list[IdentityLink] | None = computed(
        persons.person_links,
        "The links between these customers, in all states, oldest first.",
        requirement=CUSTOMERS,
        null_only_on_error=True,
    )
    segments: Connection[Segment] | None = read(
        persons.person_segments,
        "The segments of all customers, each once. A provider that fails is reported in "
        "`sources`.",
        requirement=OWN_ASSIGNED_SEGMENTS,
        null_only_on_error=True,
    )
    assignments: Connection[Assignment] | None = read(
        persons.person_assignments,
        "The assignments of all customers. A provider that fails is reported in `sources`.",
        requirement=OWN_ASSIGNMENTS,
        null_only_on_error=True,
    )
    sources: list[Source] = computed(
        persons.person_sources,
        "One entry per provider: `LIVE` was asked for this answer, `RECORDED` is from the index "
        "of customers that were read before, null: no rule names it. `totalCount` is the number "
        "of this person's customers there. `UNSUPPORTED`: it cannot look up customers by the keys "
        "of the rules.",
    )


@strawberry.type(description="One row of a page of links.")
class IdentityLinkEdge(View):
    """See the description."""

    requirement = CUSTOMERS

    value: strawberry.Private[connections.Row]

    cursor: str = attribute("cursor", "Pass this as `after` to continue after this row.")
    node: IdentityLink = attribute("value", "The link.")


@strawberry.type(description="A page of links, newest first.")
class IdentityLinkConnection(View):
    """See the description."""

    requirement = CUSTOMERS

    value: strawberry.Private[context.Connection[Edge]]

    edges: list[IdentityLinkEdge] = computed(connections.rows, "The links, with their cursors.")
    nodes: list[IdentityLink] = attribute("rows", "The links.")
    page_info: PageInfo = computed(connections.page_info, "The position of this page in the list.")
    total_count: int | None = attribute(
        "total", "The number of links in the list; null before its last page."
    )


NODES[PersonValue] = Person
NODES[Edge] = IdentityLink
