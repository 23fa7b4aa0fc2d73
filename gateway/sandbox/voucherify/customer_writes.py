"""Voucherify's customer writes: create or update, update, two bulk calls."""

from collections.abc import Mapping
from datetime import date
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.sandbox.replies import json_response
from gateway.sandbox.voucherify.project import Project
from gateway.sandbox.voucherify.records import Customer, show_customer
from gateway.sandbox.voucherify.refusals import (
    invalid_payload,
    not_found,
    read_body,
    read_object,
)
from gateway.sandbox.voucherify.webhooks import CREATED, UPDATED, CustomerWebhooks

MAX_BULK_BYTES = 10 * 1024 * 1024
TEXT_FIELDS = ("name", "description", "email", "phone")
DATE_FIELDS = ("birthday", "birthdate")
ADDRESS_FIELDS = ("city", "state", "line_1", "line_2", "country", "postal_code")


class CustomerWrites:
    """The handlers of POST and PUT under `/v1/customers`. Unknown properties are ignored."""

    def __init__(self, project: Project, webhooks: CustomerWebhooks) -> None:
        self._project = project
        self._webhooks = webhooks

    async def upsert(self, request: Request) -> Response:
        """Create a customer, or update the one with that id or source_id.

        With an id the source_id is ignored, as documented. An unknown id creates a customer with
        an id of its own: ids are assigned by Voucherify (our reading).
        """
        body = await read_object(request)
        changes = read_changes(body)
        key, source_id = _text_or_none(body, "id"), _text_or_none(body, "source_id") or None
        if key is not None:
            customer, source_id = self._project.customer_by_id(key), None
        else:
            customer = self._project.customer_by_source(source_id) if source_id else None
        if customer is None:
            customer = self._create(source_id, changes)
        else:
            self._apply(customer, changes)
        return json_response(show_customer(customer))

    async def update(self, request: Request) -> Response:
        """Update a customer; what is left out stays, `source_id` cannot change."""
        key = request.path_params["customer_id"]
        customer = self._project.customer(key)
        if customer is None:
            raise not_found("customer", key)
        self._apply(customer, read_changes(await read_object(request)))
        return json_response(show_customer(customer))

    async def bulk(self, request: Request) -> Response:
        """Create or update many customers. The vendor does it later, the sandbox at once."""
        if (too_large := await _too_large(request)) is not None:
            return too_large
        body = await read_body(request)
        if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
            raise invalid_payload("Body should be array of object")
        writes = []
        for place, item in enumerate(body):
            if not isinstance(item.get("source_id"), str) or not item["source_id"]:
                raise invalid_payload(f"Property [{place}].source_id should be string")
            writes.append((item["source_id"], read_changes(item, f"[{place}]")))
        return self._write_all(writes)

    async def bulk_metadata(self, request: Request) -> Response:
        """Give many customers the same metadata; unknown customers are created."""
        if (too_large := await _too_large(request)) is not None:
            return too_large
        body = await read_object(request)
        ids, metadata = body.get("source_ids"), body.get("metadata")
        if not isinstance(ids, list) or not all(isinstance(key, str) for key in ids):
            raise invalid_payload("Property .source_ids should be array of string")
        if not isinstance(metadata, dict):
            raise invalid_payload("Property .metadata should be object")
        return self._write_all([(key, {"metadata": metadata}) for key in ids])

    def _write_all(self, writes: list[tuple[str, dict[str, Any]]]) -> Response:
        for source_id, changes in writes:
            customer = self._project.customer_by_source(source_id)
            if customer is None:
                self._create(source_id, changes)
            else:
                self._apply(customer, changes, is_bulk=True)
        return json_response({"async_action_id": self._project.hex_id("aa_")}, HTTPStatus.ACCEPTED)

    def _create(self, source_id: str | None, changes: Mapping[str, Any]) -> Customer:
        customer = Customer(
            self._project.fresh_id("cust_"),
            created_at=self._project.now(),
            source_id=source_id,
            **changes,
        )
        self._project.add(customer)
        self._webhooks.report(customer, CREATED, {})
        return customer

    def _apply(
        self, customer: Customer, changes: Mapping[str, Any], *, is_bulk: bool = False
    ) -> None:
        """Set fields; an address is replaced whole (our reading), metadata see `_merged`."""
        before = self._webhooks.segments_of(customer)
        for name, value in changes.items():
            setattr(
                customer, name, _merged(customer.metadata, value) if name == "metadata" else value
            )
        customer.updated_at = self._project.now()
        self._project.changed(customer)
        self._webhooks.report(customer, None if is_bulk else UPDATED, before)


def _merged(metadata: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merge metadata key by key; null removes a key (our reading)."""
    merged = {**metadata, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def read_changes(body: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Read and check the customer fields in a body; dates become dates."""
    changes: dict[str, Any] = {}
    for name in TEXT_FIELDS:
        if name in body:
            changes[name] = _text(body[name], f"{path}.{name}")
    for name in DATE_FIELDS:
        if name in body:
            changes[name] = _date(body[name], f"{path}.{name}")
    if "address" in body:
        changes["address"] = _address(body["address"], f"{path}.address")
    if "metadata" in body:
        if not isinstance(body["metadata"], dict):
            raise invalid_payload(f"Property {path}.metadata should be object")
        changes["metadata"] = body["metadata"]
    return changes


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise invalid_payload(f"Property {path} should be string")
    return value


def _text_or_none(body: Mapping[str, Any], name: str) -> str | None:
    return _text(body[name], f".{name}") if name in body else None


def _date(value: object, path: str) -> date:
    try:
        return date.fromisoformat(_text(value, path))
    except ValueError:
        raise invalid_payload(f"Property {path} should be date") from None


def _address(value: object, path: str) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid_payload(f"Property {path} should be object,null")
    return {name: _text(value[name], f"{path}.{name}") for name in ADDRESS_FIELDS if name in value}


async def _too_large(request: Request) -> Response | None:
    """Return the 413 answer, which has a shape of its own, for a body over 10 MB."""
    if len(await request.body()) <= MAX_BULK_BYTES:
        return None
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    message = f"Payload content length greater than maximum allowed: {MAX_BULK_BYTES}"
    return json_response(
        {"statusCode": status, "error": "Request Entity Too Large", "message": message}, status
    )
