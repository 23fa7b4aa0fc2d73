"""Take an account's secrets out of what goes to the log: providers repeat what they were sent."""

from collections import deque
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from gateway.providers.base.settings import AccountSettings

HIDDEN = "***"
KEPT_TOKENS = 8
"""Tokens of the account that are still looked for: the newest."""


class Redaction:
    """Knows one account's secrets: those of its settings and headers, and its newest tokens."""

    def __init__(self, settings: AccountSettings, headers: Mapping[str, str]) -> None:
        """Look for every `SecretStr` of the settings, as it is and as forms and URLs spell it."""
        values = (getattr(settings, name) for name in type(settings).model_fields)
        told = [each.get_secret_value() for each in values if isinstance(each, SecretStr)]
        told += [_last_word(value) for value in headers.values()]
        self._fixed = {form for each in told if each for form in _forms(each)}
        self._tokens: deque[str] = deque(maxlen=KEPT_TOKENS)

    def add(self, authorization: str) -> None:
        """Look for this token as well."""
        token = _last_word(authorization)
        if token and token not in self._tokens:
            self._tokens.append(token)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets; the longest first, as one may hold another."""
        for secret in sorted({*self._fixed, *self._tokens}, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text


def _forms(secret: str) -> tuple[str, ...]:
    return secret, quote(secret, safe=""), quote_plus(secret)


def _last_word(authorization: str) -> str:
    return authorization.rpartition(" ")[2]
