"""The payloads of mutations that link customers to persons."""

import strawberry

from gateway.context import receipts
from resolvers.types.nodes import Context
from resolvers.types.payloads import Payload
from resolvers.types.persons import IdentityLink, Person


@strawberry.type(description="The result of customersLink.")
class CustomersLinkPayload(Payload):
    """See the description."""

    value: strawberry.Private[receipts.LinksReceipt]

    @strawberry.field(description="The person that the customers are now.")
    async def person(self, info: Context) -> Person | None:
        """See the description."""
        ref = self.value.customer
        if ref is None or ref.provider not in info.context.providers:
            return None
        (person,) = await info.context.persons.persons([ref])
        return Person(value=person)

    @strawberry.field(description="The links from the first customer to the others.")
    async def links(self, info: Context) -> list[IdentityLink]:
        """See the description."""
        found = await info.context.persons.links(self.value.links)
        return [IdentityLink(value=each) for each in found if each is not None]


@strawberry.type(description="The result of customersUnlink.")
class CustomersUnlinkPayload(Payload):
    """See the description."""

    value: strawberry.Private[receipts.UnlinkReceipt]

    @strawberry.field(description="The persons that the customers are now, each once.")
    async def people(self, info: Context) -> list[Person]:
        """See the description."""
        seen = [ref for ref in self.value.customers if ref.provider in info.context.providers]
        persons = await info.context.persons.persons(seen)
        return [Person(value=each) for each in {each.ref: each for each in persons}.values()]


@strawberry.type(description="The result of identityLinkDecide.")
class IdentityLinkDecidePayload(Payload):
    """See the description."""

    value: strawberry.Private[receipts.DecisionReceipt]

    @strawberry.field(description="The link after the decision.")
    async def link(self, info: Context) -> IdentityLink | None:
        """See the description."""
        pair = self.value.link
        if pair is None:
            return None
        (found,) = await info.context.persons.links([pair])
        return None if found is None else IdentityLink(value=found)
