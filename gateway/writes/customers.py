"""Mutations of customers: their custom attributes."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.domain.entities import Customer, Ref
from gateway.domain.merge_patch import is_same, merge
from gateway.domain.mutations import Reason, UserError
from gateway.providers.base.write_protocols import (
    ChecksCustomerAttributes,
    UpdatesCustomerAttributes,
)
from gateway.upstream.provider import Provider
from gateway.writes import observations
from gateway.writes.dispatch import UserErrors, WriteDispatcher
from gateway.writes.receipts import CustomerReceipt
from gateway.writes.segments import refuse

OPERATION = "CUSTOMER_ATTRIBUTES_UPDATE"


class CustomerWrites:
    """Mutations of one customer."""

    def __init__(self, dispatcher: WriteDispatcher) -> None:
        """Send writes with this dispatcher."""
        self._dispatcher = dispatcher

    async def update_attributes(
        self, ref: Ref, patch: Mapping[str, Any], field: str, known: Sequence[UserError] = ()
    ) -> CustomerReceipt:
        """Merge a patch (RFC 7396) into a customer's attributes.

        `ref` may have any key that identifies the customer; `field` is the input field that names
        it. If nothing would change, nothing is sent. If there are mistakes in the input (`known`),
        nothing is read and all are raised.
        """
        dispatcher = self._dispatcher
        provider = dispatcher.provider(ref.provider, field, known=known)
        adapter = dispatcher.adapter(
            provider,
            UpdatesCustomerAttributes,
            OPERATION,
            field,
            known=known,
        )
        refuse(known)
        seen = provider.customer_locks.releases
        current = await dispatcher.current_customer(provider, ref.key)
        if current is None:
            raise UserErrors(unknown(ref, field))
        async with dispatcher.exclusively(provider, current.ref.key):
            if seen != provider.customer_locks.releases:  # somebody else has written since
                current = await dispatcher.current_customer(provider, current.ref.key)
            if current is None:
                raise UserErrors(unknown(ref, field))
            try:
                await self._write(provider, adapter, current, patch)
            except UserErrors as error:
                if error.errors[0].reason is Reason.NOT_FOUND:
                    raise UserErrors(unknown(ref, field)) from error
                raise
            return CustomerReceipt(customer=current.ref)

    async def _write(
        self,
        provider: Provider,
        adapter: UpdatesCustomerAttributes,
        current: Customer,
        patch: Mapping[str, Any],
    ) -> None:
        """Write the merged attributes, if they are others."""
        dispatcher = self._dispatcher
        attributes = merge(current.attributes or {}, patch)
        if is_same(attributes, current.attributes or {}):
            return
        if provider.offers(ChecksCustomerAttributes):
            checks = provider.require(ChecksCustomerAttributes, OPERATION)
            problems = checks.attributes_problems(current, attributes)
            refuse(each.below("attributes") for each in problems)
        customer = await dispatcher.send(provider, adapter.update_attributes(current, attributes))
        if customer is not None:
            dispatcher.loaders.prime_customers([customer])
        # The customer's segments may change with it: other processes drop what they have read.
        await dispatcher.settle([observations.touched(provider.key)])


def unknown(ref: Ref, field: str) -> UserError:
    """Return the error for a customer who does not exist."""
    return UserError("There is no such customer.", Reason.NOT_FOUND, (field,), ref.provider)
