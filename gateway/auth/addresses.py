"""Recognise this machine's own addresses."""

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=1024)
def is_local(address: str | None) -> bool:
    """Return whether an address is this machine's own; None stands for a Unix socket, which is."""
    if address is None:
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Return the same for the host of a URL or of `--host`: an address or a name."""
    return host == "localhost" or is_local(host)
