"""GraphQL over server-sent events, in distinct connections mode.

The protocol: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""


def events(body: bytes) -> bytes:
    """Return the response of an operation, one line of JSON, as `next` and `complete` events."""
    return next_event(body) + COMPLETE


def next_event(body: bytes, cursor: str | None = None) -> bytes:
    """Return a `next` event; its id is the cursor that the client sends as `Last-Event-ID`."""
    position = b"" if cursor is None else b"id: %b\n" % cursor.encode()
    return b"event: next\n%bdata: %b\n\n" % (position, body)


def comment(cursor: str | None) -> bytes:
    """Return a comment, which keeps the connection open, and the position to resume from."""
    return b":\n\n" if cursor is None else b":\nid: %b\n\n" % cursor.encode()


COMPLETE = b"event: complete\ndata:\n\n"
