"""GraphQL over server-sent events, in distinct connections mode.

The protocol: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""


def events(body: bytes) -> bytes:
    """Return the response of an operation, one line of JSON, as `next` and `complete` events."""
    return b"event: next\ndata: %b\n\nevent: complete\ndata:\n\n" % body
