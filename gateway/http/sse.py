"""An answer as server-sent events: GraphQL over SSE, a connection for each operation.

The protocol: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""


def events(answer: bytes) -> bytes:
    """Return the one answer of an operation, which is JSON on one line, and the end."""
    return b"event: next\ndata: %b\n\nevent: complete\ndata:\n\n" % answer
