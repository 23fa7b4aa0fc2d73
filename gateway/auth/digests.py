"""The digest by which credentials are kept and compared, so that none is kept itself."""

from hashlib import sha256


def digest(text: str) -> bytes:
    """Return the SHA-256 of a text in UTF-8."""
    return sha256(text.encode()).digest()
