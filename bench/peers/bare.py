"""The lower bound: an ASGI application that sends prepared bytes, without GraphQL.

`BENCH_ANSWERS` names a JSON file of what is posted and what is answered.
"""

import json
import os
from pathlib import Path

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

ANSWERS = {
    asked.encode(): told.encode()
    for asked, told in json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text()).items()
}


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Respond to a request; lifespan events need no response."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body += message["body"]
        more = message["more_body"]
    answer = ANSWERS[body]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send(
        {"type": "http.response.start", "status": 200, "headers": headers, "trailers": False}
    )
    await send({"type": "http.response.body", "body": answer, "more_body": False})
