"""Read the body of a request, within a limit."""

from starlette.types import Receive

from gateway.http.disconnect import ClientDisconnected
from gateway.http.graphql_over_http import Headers, RequestError, check_content


async def read_body(headers: Headers, receive: Receive, most: int) -> bytes:
    """Return a body of JSON of at most `most` bytes.

    Raises `RequestError`, and `ClientDisconnected`.
    """
    check_content(headers)
    # Before any of it is awaited: that sends `100 Continue` to a client that expects it.
    _check_size(int(headers.get(b"content-length", b"0")), most)
    message = await receive()
    body: bytes | bytearray = message.get("body", b"")
    if message.get("more_body", False):
        body = bytearray(body)
        while message.get("more_body", False):
            _check_size(len(body), most)
            message = await receive()
            body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    _check_size(len(body), most)
    return bytes(body)


def _check_size(size: int, most: int) -> None:
    if size > most:
        text = f"body_bytes is {size} or more; at most {most} are allowed"
        raise RequestError(413, f"{text} (limits.body_bytes).", "LIMIT_EXCEEDED")
