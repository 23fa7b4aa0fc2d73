"""How somebody is turned away: the caller learns nothing, the log learns why."""

from typing import NoReturn

import structlog

from gateway.errors import Unauthenticated

MESSAGE = "Sign in: the credentials are missing or not known."
"""The same for every reason: what is told helps whoever guesses."""

log = structlog.get_logger(__name__)


def refuse(why: str, **about: str) -> NoReturn:
    """Log why, and raise `Unauthenticated`, which does not say so.

    Hand in nothing that the caller sent: a part of a credential, or text made up for the log.
    """
    log.warning("sign_in_refused", why=why, **about)
    raise Unauthenticated(MESSAGE) from None
