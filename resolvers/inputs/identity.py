"""Inputs about persons and links, and their conversion to domain values."""

from collections.abc import Sequence

import strawberry

from gateway.context import LinkConditions, PersonConditions, UserErrors
from gateway.domain.entities import Ref
from gateway.domain.mutations import Reason, UserError
from gateway.errors import BadInput
from gateway.identity.graph import LinkOrigin, LinkState, Pair
from resolvers import global_ids
from resolvers.inputs.filters import given, segment_conditions
from resolvers.inputs.mutation_inputs import Once, part
from resolvers.inputs.to_domain import Problems
from resolvers.value_types import describe

__all__ = ["LinkOrigin", "LinkState"]

describe(
    LinkOrigin,
    "LinkOrigin",
    "How a link came about.",
    {
        "EXPLICIT": "Somebody decided it.",
        "RULE": "A rule of the configuration.",
    },
)
describe(
    LinkState,
    "LinkState",
    "Whether a link connects its customers.",
    {
        "ACTIVE": "Both are customers of one person.",
        "PROPOSED": "They may be: somebody has to decide.",
        "BLOCKED": "They are kept apart; no rule links them.",
    },
)


@strawberry.input(description="Customers that are one person.")
class CustomersLinkInput(Once):
    """See the description."""

    customer_ids: list[strawberry.ID] = strawberry.field(
        description="Global ids of at least two customers; the first is linked to each other one."
    )
    note: str | None = part("A note about the decision, of at most 1,000 characters.")


@strawberry.input(
    description="Customers that are not one person: a link, or customers (exactly one of the two)."
)
class CustomersUnlinkInput(Once):
    """See the description."""

    link_id: strawberry.ID | None = part("The global id of a link whose customers to keep apart.")
    customer_ids: list[strawberry.ID] | None = part(
        "Global ids of customers: several are kept apart from each other, one leaves its person."
    )
    note: str | None = part("A note about the decision, of at most 1,000 characters.")


@strawberry.input(description="A decision about a proposed link.")
class IdentityLinkDecideInput(Once):
    """See the description."""

    link_id: strawberry.ID = strawberry.field(description="The global id of the link.")
    accept: bool = strawberry.field(
        description="True: the two are one person. False: they are kept apart."
    )


@strawberry.input(description="Selects persons; all given conditions must hold.")
class PersonFilter:
    """See the description."""

    in_all: list[strawberry.ID] | None = part(
        "Only persons who are in all these segments, by global id, of any providers: one customer "
        "of the person suffices for each. An empty list is no condition. If a segment cannot be "
        "read there are no nodes, and `sources` has the error."
    )
    in_any: list[strawberry.ID] | None = part(
        "Only persons who are in any of these segments. If one cannot be read, the persons in the "
        "others are listed, and `sources` has the error."
    )
    in_none: list[strawberry.ID] | None = part(
        "Only persons who are in none of these segments; needs another condition. If a segment "
        "cannot be read there are no nodes, and `sources` has the error."
    )
    email: str | None = part("Only persons with a customer who has this email address.")


@strawberry.input(
    description="Selects links; all given conditions must hold. An empty list matches nothing."
)
class IdentityLinkFilter:
    """See the description."""

    states: list[LinkState] | None = part("Only links in one of these states.")
    rule: str | None = part("Only links of the rule with this name.")
    customer_id: strawberry.ID | None = part("Only links of the customer with this global id.")


def person_conditions(value: PersonFilter | None) -> PersonConditions:
    """Convert a filter. Raises `BadInput` for an invalid one."""
    if not value:
        return PersonConditions()
    members = segment_conditions(value)
    email = given(value.email)
    if members.none_of and not (members.all_of or members.any_of or email is not None):
        raise BadInput("filter.inNone alone selects nobody: add inAll, inAny or email.")
    return PersonConditions(email, members)


def link_conditions(value: IdentityLinkFilter | None) -> LinkConditions:
    """Convert a filter. Raises `BadInput` for an invalid id."""
    if not value:
        return LinkConditions()
    states, customer = given(value.states), given(value.customer_id)
    return LinkConditions(
        None if states is None else frozenset(states),
        given(value.rule),
        None if customer is None else global_ids.customer(customer, "filter.customerId"),
    )


def customer_refs(values: Sequence[str]) -> Sequence[Ref]:
    """Decode the global ids of customers in `customerIds`. Raises `UserErrors`."""
    problems, refs = Problems(), []
    for place, text in enumerate(values):
        try:
            refs.append(global_ids.customer(text))
        except BadInput as error:
            problems.note(str(error), "customerIds", str(place))
    problems.raise_if_any()
    return refs


def link_pair(text: str) -> Pair:
    """Decode the global id of a link in `linkId`. Raises `UserErrors`."""
    try:
        return global_ids.link(text)
    except BadInput as error:
        raise UserErrors(UserError(str(error), Reason.INVALID, ("linkId",))) from error


def unlinking(value: CustomersUnlinkInput) -> tuple[Pair | None, Sequence[Ref], str | None]:
    """Return the link or the customers to keep apart, and the note. Raises `UserErrors`."""
    link_id, customer_ids, note = (
        given(value.link_id),
        given(value.customer_ids),
        given(value.note),
    )
    if (link_id is None) is (customer_ids is None) or customer_ids == []:
        message = "Give exactly one of linkId and customerIds."
        raise UserErrors(UserError(message, Reason.INVALID))
    if link_id is not None:
        return link_pair(link_id), (), note
    return None, customer_refs(customer_ids or ()), note
