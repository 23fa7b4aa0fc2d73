"""Classify network failures, for the log and for `gateway check`.

The messages of libraries change between versions, and contain addresses and names. Clients see
neither, only `PROVIDER_UNREACHABLE` or `PROVIDER_TIMEOUT`.
"""

import errno
import socket
import ssl
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

import httpx
import msgspec


class NetworkFailure(StrEnum):
    """A class of failures with the same remedy."""

    NAME_NOT_RESOLVED = "name_not_resolved"
    CONNECTION_REFUSED = "connection_refused"
    NO_ROUTE = "no_route"
    CONNECT_TIMEOUT = "connect_timeout"
    NO_CONNECTION = "no_connection"
    """Several addresses failed in different ways, or no other class fits."""
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_WRONG_HOST = "certificate_wrong_host"
    CERTIFICATE_INVALID = "certificate_invalid"
    TLS_FAILED = "tls_failed"
    PROXY_UNREACHABLE = "proxy_unreachable"
    PROXY_CREDENTIALS = "proxy_credentials"
    PROXY_REFUSED = "proxy_refused"
    ANSWER_TIMEOUT = "answer_timeout"
    CONNECTION_LOST = "connection_lost"
    NOT_HTTP = "not_http"


class Explanation(NamedTuple):
    """A description of a failure, and how to fix it."""

    what: str
    advice: str


EXPLANATIONS: Mapping[NetworkFailure, Explanation] = {
    NetworkFailure.NAME_NOT_RESOLVED: Explanation(
        "The host name of base_url cannot be resolved.",
        "Correct the name, or this machine's DNS settings.",
    ),
    NetworkFailure.CONNECTION_REFUSED: Explanation(
        "Nothing listens at the host and port of base_url, or a firewall refuses connections.",
        "Correct the host or port, or start what should listen there.",
    ),
    NetworkFailure.NO_ROUTE: Explanation(
        "There is no route to the host of base_url.",
        "Check this machine's network, its firewall, and IPv6 where the host has such an address.",
    ),
    NetworkFailure.CONNECT_TIMEOUT: Explanation(
        "No connection was established within timeout_s.",
        "Check whether a firewall drops packets, and whether the provider is reached by a proxy.",
    ),
    NetworkFailure.NO_CONNECTION: Explanation(
        "No connection could be established.",
        "Check base_url, and whether this machine can reach it.",
    ),
    NetworkFailure.CERTIFICATE_EXPIRED: Explanation(
        "The server's certificate has expired.",
        "Have it renewed; check this machine's clock.",
    ),
    NetworkFailure.CERTIFICATE_NOT_YET_VALID: Explanation(
        "The server's certificate is not valid yet.",
        "Check this machine's clock.",
    ),
    NetworkFailure.CERTIFICATE_UNTRUSTED: Explanation(
        "This machine does not trust the issuer of the server's certificate.",
        "Where a company's own authority or proxy issues certificates, name its certificates in"
        " SSL_CERT_FILE. Else have the server send its intermediate certificates.",
    ),
    NetworkFailure.CERTIFICATE_WRONG_HOST: Explanation(
        "The server's certificate is for another host than that of base_url.",
        "Use the name that the certificate is for, or have the name added to it.",
    ),
    NetworkFailure.CERTIFICATE_INVALID: Explanation(
        "The server's certificate cannot be used.",
        "Have it replaced.",
    ),
    NetworkFailure.TLS_FAILED: Explanation(
        "No TLS connection could be negotiated.",
        "Check scheme and port of base_url: https with a port that speaks TLS.",
    ),
    NetworkFailure.PROXY_UNREACHABLE: Explanation(
        "The proxy cannot be reached.",
        "Check the provider's setting proxy.",
    ),
    NetworkFailure.PROXY_CREDENTIALS: Explanation(
        "The proxy requires credentials, or rejects those of the setting proxy (407).",
        "Put user and password into the provider's setting proxy.",
    ),
    NetworkFailure.PROXY_REFUSED: Explanation(
        "The proxy refuses to connect to the host of base_url.",
        "Have the host and port allowed at the proxy.",
    ),
    NetworkFailure.ANSWER_TIMEOUT: Explanation(
        "The connection was established, but no complete reply arrived within timeout_s.",
        "Raise timeout_s if the provider is known to be slow; otherwise contact the provider.",
    ),
    NetworkFailure.CONNECTION_LOST: Explanation(
        "The connection was closed before the reply was complete.",
        "Try again; if it persists, contact the provider, or check the network in between.",
    ),
    NetworkFailure.NOT_HTTP: Explanation(
        "The reply is not HTTP.",
        "Check scheme and port of base_url: a port that speaks TLS needs https.",
    ),
}

_CERTIFICATES: Mapping[int, NetworkFailure] = {
    # OpenSSL's X509_V_ERR_…, https://docs.openssl.org/3.0/man1/openssl-verification-options/
    9: NetworkFailure.CERTIFICATE_NOT_YET_VALID,
    10: NetworkFailure.CERTIFICATE_EXPIRED,
    18: NetworkFailure.CERTIFICATE_UNTRUSTED,  # self-signed
    19: NetworkFailure.CERTIFICATE_UNTRUSTED,  # self-signed, at the end of a chain
    20: NetworkFailure.CERTIFICATE_UNTRUSTED,  # its issuer is not known
    21: NetworkFailure.CERTIFICATE_UNTRUSTED,  # likewise
    62: NetworkFailure.CERTIFICATE_WRONG_HOST,
    64: NetworkFailure.CERTIFICATE_WRONG_HOST,  # an IP address
}

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})

PROXY_AUTHENTICATION_REQUIRED = 407


class ProxyRefusedError(httpx.ProxyError):
    """A proxy refused to connect."""

    def __init__(self, status: int) -> None:
        """Store the status of its response."""
        self.status = status
        super().__init__(f"status {status}")


class NotHttpError(httpx.RemoteProtocolError):
    """The head of a reply is not HTTP."""


_KINDS: Mapping[type[Exception], NetworkFailure] = {
    httpx.ConnectTimeout: NetworkFailure.CONNECT_TIMEOUT,
    httpx.TimeoutException: NetworkFailure.ANSWER_TIMEOUT,
    TimeoutError: NetworkFailure.ANSWER_TIMEOUT,
    httpx.ConnectError: NetworkFailure.NO_CONNECTION,
    NotHttpError: NetworkFailure.NOT_HTTP,
}
"""The class of an error by its own type, the first that matches; used if no cause is specific."""


class Progress(msgspec.Struct, eq=False, gc=False):
    """The progress of one call; it may be read while the call is in progress."""

    is_connecting: bool = False
    """The call is waiting for its connection, or was when it ended: nothing has been sent."""

    @property
    def timeout(self) -> NetworkFailure:
        """The class of a timeout at this point."""
        if self.is_connecting:
            return NetworkFailure.CONNECT_TIMEOUT
        return NetworkFailure.ANSWER_TIMEOUT


def network_failure(error: BaseException) -> NetworkFailure:
    """Return the class of a transport error, by types and codes, never by its message."""
    if isinstance(error, ProxyRefusedError):
        if error.status == PROXY_AUTHENTICATION_REQUIRED:
            return NetworkFailure.PROXY_CREDENTIALS
        return NetworkFailure.PROXY_REFUSED
    if isinstance(error, httpx.ProxyError):
        return NetworkFailure.PROXY_UNREACHABLE
    by_cause = (failure for each in _causes(error) if (failure := _by_cause(each)) is not None)
    by_type = (failure for kind, failure in _KINDS.items() if isinstance(error, kind))
    return next(by_cause, None) or next(by_type, NetworkFailure.CONNECTION_LOST)


def _by_cause(error: BaseException) -> NetworkFailure | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        # aiohttp has errors of this type that lack the code; what caused them has it.
        code = getattr(error, "verify_code", None)
        return None if code is None else _certificate_failure(code)
    if isinstance(error, ssl.SSLError):
        return NetworkFailure.TLS_FAILED
    if isinstance(error, socket.gaierror | UnicodeError):  # the latter: it cannot be a name
        return NetworkFailure.NAME_NOT_RESOLVED
    if isinstance(error, ConnectionRefusedError):
        return NetworkFailure.CONNECTION_REFUSED
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return NetworkFailure.NO_ROUTE
    return None


def _certificate_failure(code: int) -> NetworkFailure:
    return _CERTIFICATES.get(code, NetworkFailure.CERTIFICATE_INVALID)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting.append(each.__cause__ or each.__context__)
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
