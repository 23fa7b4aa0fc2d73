"""The read side of one request."""

from gateway.providers.base.adapter import CountsLimits
from gateway.reads.customers import CustomerReads
from gateway.reads.memberships import MembershipReads
from gateway.reads.segments import SegmentReads


class ReadService(SegmentReads, CustomerReads, MembershipReads):
    """Everything that one request may read beyond single things by their keys."""

    async def limit_used(self, provider: str, limit: str) -> int | None:
        """Count what stands against a provider's limit; None when it cannot be asked."""
        chosen = self._providers[provider]
        if not chosen.offers(CountsLimits):
            return None
        used = chosen.require(CountsLimits, "LIMITS").used
        if chosen.plan(used, limit) is None:
            return None
        return await self._loaders.fetch(chosen, used, limit)  # type: ignore[arg-type]  # it is not None
