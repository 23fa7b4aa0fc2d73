"""Remove an account's secrets from logged text: providers repeat what they were sent."""

from collections import deque
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from gateway.providers.base.settings import AccountSettings

MASK = "***"
TOKENS = 8
"""The number of newest tokens that are removed."""


class Redaction:
    """One account's secrets: those of its settings and headers, and its newest tokens."""

    def __init__(self, settings: AccountSettings, headers: Mapping[str, str]) -> None:
        """Remove every `SecretStr` of the settings, as it is and as forms and URLs encode it."""
        values = (getattr(settings, name) for name in type(settings).model_fields)
        secrets = [each.get_secret_value() for each in values if isinstance(each, SecretStr)]
        secrets += [_last_word(value) for value in headers.values()]
        self._fixed = {form for each in secrets if each for form in _encodings(each)}
        self._tokens: deque[str] = deque(maxlen=TOKENS)

    def add(self, authorization: str) -> None:
        """Remove this token as well."""
        token = _last_word(authorization)
        if token and token not in self._tokens:
            self._tokens.append(token)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets; the longest first: one may contain another."""
        for secret in sorted({*self._fixed, *self._tokens}, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


def _encodings(secret: str) -> tuple[str, ...]:
    return secret, quote(secret, safe=""), quote_plus(secret)


def _last_word(authorization: str) -> str:
    return authorization.rpartition(" ")[2]
