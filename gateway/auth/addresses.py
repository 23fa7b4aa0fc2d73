"""Which addresses are this machine's own."""

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=1024)
def is_local(address: str | None) -> bool:
    """Tell whether an address is this machine's own. None is a Unix socket: it is."""
    if address is None:
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell the same of what stands in a URL, or after `--host`: an address or a name."""
    return host == "localhost" or is_local(host)
