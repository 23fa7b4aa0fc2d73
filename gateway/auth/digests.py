"""The digest that is stored and compared instead of a credential."""

from hashlib import sha256


def digest(text: str) -> bytes:
    """Return the SHA-256 digest of a text in UTF-8."""
    return sha256(text.encode()).digest()
