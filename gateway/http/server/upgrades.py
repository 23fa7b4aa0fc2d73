"""Upgrade requests: accept WebSocket handshakes, ignore any other Upgrade.

A server ignores an Upgrade that it does not support (RFC 9110, 7.8). llhttp does not: after such a
head it reads no body and stops. The body would then be read as the next request (request
smuggling).
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class UpgradingHttp(HttpToolsProtocol):
    """HTTP/1.1 with WebSocket as the only upgrade.

    The parser calls back for the head of an upgrade as for any other. Those callbacks are ignored
    until it stops after the head: then the handshake is accepted, or a new parser reads the same
    head without `Upgrade`, and the data after it.
    """

    url = b""  # uvicorn sets it when a request begins

    def data_received(self, data: bytes) -> None:
        """Read data: a part of a request, or several requests."""
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserError:
                self.send_400_response("")
            except httptools.HttpParserUpgrade as stop:
                rest = data[stop.args[0] :]
                if self._is_handshake():
                    self.start_websocket(rest)
                elif self.parser.get_method() == b"CONNECT":
                    self.send_400_response("")
                else:
                    data = self._head_without_upgrade() + rest
                    continue
            return

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a header, without the white space after its value, which llhttp keeps."""
        super().on_header(name, value.rstrip(b" \t"))

    def reads_head(self) -> bool:
        """Return whether the request that arrives, or arrived last, is a HEAD."""
        return bool(self.url) and self.parser.get_method() == b"HEAD"

    def start_websocket(self, rest: bytes) -> None:
        """Hand the connection over to the WebSocket protocol, with the bytes after the head."""
        raise NotImplementedError  # BoundedHttpProtocol has it

    def _is_handshake(self) -> bool:
        """Return whether the head is a WebSocket handshake: a GET without body (RFC 6455, 4.1)."""
        headers = dict(self.headers)
        upgrades = [value.lower() for name, value in self.headers if name == b"upgrade"]
        return (
            upgrades == [b"websocket"]
            and self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and headers.get(b"content-length", b"0") == b"0"
            and b"transfer-encoding" not in headers
        )

    def _head_without_upgrade(self) -> bytes:
        """Create a new parser; return the head for it, without `Upgrade`."""
        version = self.parser.get_http_version().encode()
        first = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)
        headers = [b"%b: %b\r\n" % each for each in self.headers if each[0] != b"upgrade"]
        self.parser = new_parser(self)
        return b"".join((first, *headers, b"\r\n"))


def new_parser(protocol: HttpToolsProtocol) -> httptools.HttpRequestParser:
    """Return a parser with uvicorn's settings."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
