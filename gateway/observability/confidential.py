"""Values that the log may not show as they are, told by their type: `logs` sees to them.

Neither shows itself in a repr, so that a log that nobody has set up shows nothing either.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Personal:
    """An id of a person: a provider's customer, or an address on the network."""

    id: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "<personal>"


@dataclass(frozen=True, slots=True, repr=False)
class Foreign:
    """Words that are not ours, a provider's or a library's: they may hold anything."""

    text: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "<foreign>"
