"""Reject credentials: the log gets the reason, the caller does not."""

from typing import NoReturn

import structlog

from gateway.errors import Unauthenticated

MESSAGE = "The credentials are missing or invalid."
"""The same for every reason, so that it does not help anyone to guess."""

log = structlog.get_logger(__name__)


def refuse(why: str, **about: str) -> NoReturn:
    """Log the reason and raise `Unauthenticated`, whose message does not contain it.

    Pass nothing that the caller sent: it may be part of a credential, or forged log text.
    """
    log.warning("sign_in_refused", why=why, **about)
    raise Unauthenticated(MESSAGE) from None
