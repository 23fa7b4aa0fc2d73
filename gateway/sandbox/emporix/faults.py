"""Emporix's refusals: its services and its gateway differ in shape."""

from http import HTTPStatus
from typing import Any

SEGMENT_MESSAGES = {
    HTTPStatus.BAD_REQUEST: "Validation problem with request body.",
    HTTPStatus.FORBIDDEN: "The access to the requested resource has been forbidden by the server.",
}
CUSTOMER_MESSAGES = {HTTPStatus.FORBIDDEN: "User not authorized."}
CUSTOMER_TYPES = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "application/json",
    HTTPStatus.CONFLICT: "conflict_resource",
}


class UnauthorizedError(Exception):
    """A call without a good token; the API gateway refuses it, for every service alike."""

    def __init__(self, faultstring: str, errorcode: str) -> None:
        super().__init__(faultstring)
        self.body = {"fault": {"faultstring": faultstring, "detail": {"errorcode": errorcode}}}


class RefusedError(Exception):
    """A call that a service refuses.

    An empty `message` stands for the service's own text for that status; `field` and `reason` say
    what is wrong with the request.
    """

    def __init__(
        self, status: HTTPStatus, message: str = "", *, field: str = "", reason: str = ""
    ) -> None:
        super().__init__(message or reason or status.phrase)
        self.status = status
        self.message = message
        self.field = field
        self.reason = reason

    def body_of(self, service: str) -> dict[str, Any]:
        """Return the body as a service writes it, by the first part of its paths."""
        shapes = {"customer": self.customer_body, "webhook": self.webhook_body}
        return shapes.get(service, self.segment_body)()

    def webhook_body(self) -> dict[str, Any]:
        """Return the body as the webhook service writes it: `details` are sentences."""
        body = self.segment_body()
        if self.reason:
            body["message"] = "There is a validation error. Please check the details."
            body["details"] = [f"{self.field}: {self.reason}" if self.field else self.reason]
        return body

    def segment_body(self) -> dict[str, Any]:
        """Return the body as the segment service writes it: `details` is one object."""
        body: dict[str, Any] = {
            "code": self.status.value,
            "status": self.status.phrase,
            "message": self.message or SEGMENT_MESSAGES.get(self.status, self.status.phrase),
        }
        if self.reason:
            body["details"] = {"field": self.field, "message": self.reason}
        return body

    def customer_body(self) -> dict[str, Any]:
        """Return the body as the customer service writes it: `details` is an array, no `code`."""
        body: dict[str, Any] = {
            "status": self.status.value,
            "type": CUSTOMER_TYPES.get(self.status, "bad_request"),
            "message": self.message or CUSTOMER_MESSAGES.get(self.status, self.status.phrase),
        }
        if self.reason:
            details = {"field": self.field, "message": self.reason}
            body["details"] = [{name: text for name, text in details.items() if text}]
        return body


def invalid(reason: str, field: str = "") -> RefusedError:
    """Return the refusal of an invalid request."""
    return RefusedError(HTTPStatus.BAD_REQUEST, field=field, reason=reason)


def forbidden() -> RefusedError:
    """Return the refusal of a token without the scope."""
    return RefusedError(HTTPStatus.FORBIDDEN)


def not_found(resource_id: str) -> RefusedError:
    """Return the segment service's refusal of an unknown id."""
    return RefusedError(
        HTTPStatus.NOT_FOUND, f"The resource with id {resource_id} has not been found."
    )


def already_exists() -> RefusedError:
    """Return the segment service's refusal of an id that is taken."""
    return RefusedError(HTTPStatus.CONFLICT, "The resource already exists.")


def has_changed() -> RefusedError:
    """Return the segment service's refusal of a stale `metadata.version`."""
    return RefusedError(
        HTTPStatus.CONFLICT, "The resource you are attempting to access has changed."
    )
