"""The read side of one request."""

from gateway.providers.base.adapter import CountsLimits
from gateway.reads.comparison import ComparisonReads
from gateway.reads.customers import CustomerReads
from gateway.reads.memberships import MembershipReads
from gateway.reads.segments import SegmentReads
from gateway.reads.source_rows import countable


class ReadService(SegmentReads, CustomerReads, MembershipReads, ComparisonReads):
    """All reads of one request except those by key, which are the loaders'."""

    async def limit_used(self, provider: str, limit: str) -> int | None:
        """Return how much of a provider's limit is used; None if it cannot be read."""
        chosen = self._providers[provider]
        if not chosen.offers(CountsLimits):
            return None
        used = chosen.require(CountsLimits, "LIMITS").used
        if chosen.plan(used, limit) is None:
            return None
        count = await self._loaders.fetch(chosen, used, limit)  # type: ignore[arg-type]  # the plan is not None
        return countable(count)
