"""Link customers to persons, keep them apart, and decide about proposed links.

Everything is decided in one transaction of the store, within what the caller may see.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations

from gateway.domain.entities import Customer, Ref
from gateway.domain.mutations import Reason, UserError
from gateway.errors import GatewayError
from gateway.identity.graph import (
    Decision,
    Edge,
    Graph,
    LinkOrigin,
    LinkState,
    Pair,
    pair_of,
)
from gateway.store.errors import StoreFailed
from gateway.store.identity import IdentityStore
from gateway.store.identity_decisions import Plan
from gateway.store.identity_reads import Surroundings
from gateway.writes.dispatch import UserErrors, WriteDispatcher
from gateway.writes.receipts import DecisionReceipt, LinksReceipt, UnlinkReceipt

MOST_LINKED = 100
"""The most customers of one mutation."""

LONGEST_NOTE = 1000
"""The most characters of a note: it is for a sentence, and every link has its own copy."""


class IdentityWrites:
    """The mutations of links."""

    def __init__(
        self,
        dispatcher: WriteDispatcher,
        identity: IdentityStore,
        sight: Collection[str],
        deadline: float,
    ) -> None:
        """Decide about customers of the providers in `sight`, until the deadline."""
        self._dispatcher = dispatcher
        self._identity = identity
        self._sight = tuple(sight)
        self._deadline = deadline

    async def link(self, refs: Sequence[Ref], note: str | None) -> LinksReceipt:
        """Link the first of these customers to each other one. Raises `UserErrors`."""
        _check_sizes(refs, note)
        customers = await self._customers(refs)
        if len(customers) < 2:  # noqa: PLR2004  # a link has two ends
            raise _refused("Name at least two different customers.", "customerIds")
        first, *others = customers
        pairs = [pair_of(first, other) for other in others]

        def plan(known: Surroundings) -> Sequence[Decision]:
            graph = known.graph(self._identity.index.rules)
            self._check(known, graph, customers, pairs, "customerIds")
            return [
                self._link(pair, note)
                for pair in pairs
                if not _is_linked_explicitly(graph.edges.get(pair))
            ]

        await self._decide(customers, plan)
        return LinksReceipt(customer=first, links=tuple(pairs))

    async def unlink(
        self, pair: Pair | None, refs: Sequence[Ref], note: str | None
    ) -> UnlinkReceipt:
        """Keep customers apart: the ends of a link, several customers, or one and its person.

        Raises `UserErrors`.
        """
        _check_sizes(refs, note)
        customers = list(pair) if pair is not None else await self._customers(refs)
        apart: dict[Ref, None] = {}

        def plan(known: Surroundings) -> Sequence[Decision]:
            graph = known.graph(self._identity.index.rules)
            if pair is not None and pair not in graph.edges:
                raise _refused("There is no such link.", "linkId", reason=Reason.NOT_FOUND)
            pairs = _pairs_to_block(graph, customers)
            apart.update(dict.fromkeys((*customers, *(ref for each in pairs for ref in each))))
            edges = [(each, graph.edges.get(each)) for each in pairs]
            return [
                self._block(each, edge, note)
                for each, edge in edges
                if edge is None or edge.state is not LinkState.BLOCKED
            ]

        await self._decide(customers, plan)
        return UnlinkReceipt(customers=tuple(apart))

    async def decide(self, pair: Pair, *, accept: bool) -> DecisionReceipt:
        """Accept or reject a proposed link. Raises `UserErrors`."""

        def plan(known: Surroundings) -> Sequence[Decision]:
            graph = known.graph(self._identity.index.rules)
            edge = graph.edges.get(pair)
            if edge is None:
                raise _refused("There is no such link.", "linkId", reason=Reason.NOT_FOUND)
            if edge.state is LinkState.PROPOSED:
                if not accept:
                    return [self._block(pair, edge, None)]
                self._check(known, graph, pair, [pair], "linkId")
                return [self._link(pair, None)]
            if accept is not (edge.state is LinkState.ACTIVE):
                state = edge.state.value
                raise _refused(f"The link is {state}, and not proposed any more.", "accept")
            return []

        await self._decide(pair, plan)
        return DecisionReceipt(link=pair)

    async def _decide(self, refs: Sequence[Ref], plan: Plan) -> None:
        visible = [ref for ref in refs if ref.provider in self._sight]
        try:
            await self._identity.decisions.decide(visible, self._sight, plan, self._deadline)
        except StoreFailed as error:
            self._dispatcher.report(error)
            raise

    async def _customers(self, refs: Sequence[Ref]) -> Sequence[Ref]:
        """Return these customers, each once, by their own ids. Raises `UserErrors`.

        What is read of them is recorded first.
        """
        found = await self._dispatcher.loaders.customer.load_results(refs)
        errors = [each for each in found if isinstance(each, GatewayError)]
        if errors:
            raise errors[0]
        missing = [str(place) for place, each in enumerate(found) if each is None]
        if missing:
            raise UserErrors(
                *(
                    UserError("There is no such customer.", Reason.NOT_FOUND, ("customerIds", at))
                    for at in missing
                )
            )
        customers = [each for each in found if isinstance(each, Customer)]
        news = self._identity.index.news(customers)
        if news:
            await self._identity.index.record(news, self._deadline)
        return list(dict.fromkeys(each.ref for each in customers))

    def _check(
        self,
        known: Surroundings,
        graph: Graph,
        customers: Iterable[Ref],
        pairs: Collection[Pair],
        field: str,
    ) -> None:
        """Refuse links that would bring blocked customers together, or make too large a person."""
        together = {each for ref in customers for each in graph.persons.get(ref, (ref,))}
        for each in known.decisions:
            if not each.is_link and each.pair not in pairs and together.issuperset(each.pair):
                raise _refused("Two of these customers are kept apart.", field)
        most = self._identity.index.rules.max_customers
        if len(together) > most:
            message = f"A person has at most {most} customers (identity.max_customers)."
            raise _refused(message, field, reason=Reason.LIMIT_EXCEEDED)

    def _link(self, pair: Pair, note: str | None) -> Decision:
        now, owner = self._identity.clock(), self._dispatcher.owner
        return Decision(pair, True, LinkOrigin.EXPLICIT, None, now, owner, note)  # noqa: FBT003  # named in the class

    def _block(self, pair: Pair, edge: Edge | None, note: str | None) -> Decision:
        """Keep two customers apart; the link of a rule stays the rule's."""
        origin, rule = (LinkOrigin.EXPLICIT, None) if edge is None else (edge.origin, edge.rule)
        now, owner = self._identity.clock(), self._dispatcher.owner
        return Decision(pair, False, origin, rule, now, owner, note)  # noqa: FBT003  # as above


def _pairs_to_block(graph: Graph, customers: Sequence[Ref]) -> Sequence[Pair]:
    if len(customers) == 1:
        (leaving,) = customers
        others = [ref for ref in graph.persons.get(leaving, ()) if ref != leaving]
        return [pair_of(leaving, other) for other in others]
    return [pair_of(*two) for two in combinations(customers, 2)]


def _check_sizes(refs: Sequence[Ref], note: str | None) -> None:
    """Raise `UserErrors` for too many customers, and for too long a note."""
    errors = []
    if len(refs) > MOST_LINKED:
        errors.append((f"Name at most {MOST_LINKED} customers.", "customerIds"))
    if note is not None and len(note) > LONGEST_NOTE:
        errors.append((f"A note has at most {LONGEST_NOTE} characters.", "note"))
    if errors:
        raise UserErrors(
            *(UserError(message, Reason.LIMIT_EXCEEDED, (field,)) for message, field in errors)
        )


def _is_linked_explicitly(edge: Edge | None) -> bool:
    return (
        edge is not None and edge.state is LinkState.ACTIVE and edge.origin is LinkOrigin.EXPLICIT
    )


def _refused(message: str, *field: str, reason: Reason = Reason.INVALID) -> UserErrors:
    return UserErrors(UserError(message, reason, field or None))
