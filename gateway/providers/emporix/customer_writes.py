"""The part of the adapter that changes customers: their mixins.

Facts: the OpenAPI file of the customer service and standard-practices/mixins in
github.com/emporix/api-references, read 2026-11-21.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.domain.entities import Customer
from gateway.domain.merge_patch import is_same, replacement
from gateway.domain.mutations import Reason, UserError
from gateway.errors import Refusal
from gateway.providers.base.decoding import OK, decode_part, path_part
from gateway.providers.base.exchange import Exchange, Reply, json_call
from gateway.providers.emporix.model import Account
from gateway.providers.emporix.write_replies import SingleWrite

REASONS = {404: Refusal("NOT_FOUND", "There is no such customer.")}


class SchemasModel(msgspec.Struct, frozen=True):
    """The part of `metadata` that has the URL of each mixin's schema, by the mixin's name."""

    mixins: dict[str, Any] | None = None


class CustomerSchemasModel(msgspec.Struct, frozen=True):
    """A customer's document, as far as it is about schemas."""

    metadata: SchemasModel | None = None


class CustomerWrites:
    """Changes the mixins of customers."""

    _account: Account
    _customers_path: str

    def attributes_problems(
        self, current: Customer, attributes: Mapping[str, Any]
    ) -> Sequence[UserError]:
        """Return an error for each mixin that is set, but has no schema in the customer."""
        stored, key = current.attributes or {}, self._account.key
        document = decode_part(
            key, "customers.get", bytes(current.raw or b"{}"), CustomerSchemasModel
        )
        schemas = (document.metadata and document.metadata.mixins) or {}
        text = "The customer has no schema for this mixin."
        return [
            UserError(text, Reason.INVALID, (name,), key)
            for name, value in attributes.items()
            if not schemas.get(name) and not is_same(stored.get(name), value)
        ]

    def update_attributes(
        self, current: Customer, attributes: Mapping[str, Any]
    ) -> Exchange[Customer | None]:
        """Replace the mixins of a customer; an unknown customer is not created.

        PUT would create one. Whether PATCH merges or replaces mixins is not documented: what is
        sent has the same effect either way, except that null may remain of what is removed.
        """
        write = SingleWrite(
            self._account.key, "customers.update", OK, REASONS, {"mixins": "attributes"}
        )

        def read(reply: Reply) -> None:
            write.accept(reply)

        names = {key.kind: key.value for key in current.keys}
        path = f"{self._customers_path}/{path_part(names.get('customerNumber', current.ref.key))}"
        body = {"mixins": replacement(current.attributes or {}, attributes)}
        return Exchange(write.operation, json_call("PATCH", path, body), read)
