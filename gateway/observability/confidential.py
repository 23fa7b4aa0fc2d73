"""Types for confidential values in log events; `logs` redacts them.

Neither shows its value in its repr, so nothing leaks while the log is not configured.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Personal:
    """The id of a person: a customer of a provider, or a network address."""

    id: str

    def __repr__(self) -> str:
        """Hide the value."""
        return "<personal>"


@dataclass(frozen=True, slots=True, repr=False)
class Foreign:
    """Text of a provider or a library: it may contain anything."""

    text: str

    def __repr__(self) -> str:
        """Hide the value."""
        return "<foreign>"
