"""What a customer has done, as numbers: Voucherify's summary, loyalty and referrals objects.

Everything follows from the number of a person of the cast; None is a customer created by the API,
who has done nothing yet. Amounts are in cents.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.sandbox.people import scramble

FIRST_ORDER = datetime(2024, 1, 8, 10, 30, tzinfo=UTC)
CAMPAIGNS = ("Summer Points", "Winter Points")
TIERS = ("ltr_UJ5Q54Q0OvEhua87Qfv2Ki5x", "ltr_8sTnWf1GzHcRk2LpVbYq7eDm")


def order_count(n: int | None) -> int:
    """Return how many orders were paid: 0 to 8."""
    return 0 if n is None else n * 5 % 9


def last_order_at(n: int | None) -> datetime | None:
    """Return when the last order was paid; None when there is none."""
    if n is None or not order_count(n):
        return None
    return FIRST_ORDER + timedelta(hours=n * 53 % 20_000, milliseconds=n * 7 % 1000)


def summary(n: int | None) -> dict[str, Any]:
    """Return the `summary` object; `last_order_date`, an aware datetime, only after an order."""
    count = order_count(n)
    last = 0 if n is None or not count else 1_500 + n * 911 % 24_000
    total = 0 if not count else last + (count - 1) * 4_200
    redeemed = count // 3
    orders: dict[str, Any] = {
        "total_amount": total,
        "total_count": count,
        "average_amount": total // count if count else 0,
        "last_order_amount": last,
    }
    if (ordered_at := last_order_at(n)) is not None:
        orders["last_order_date"] = ordered_at
    return {
        "redemptions": {
            "total_redeemed": redeemed,
            "total_failed": 0,
            "total_succeeded": redeemed,
            "total_rolled_back": 0,
            "total_rollback_failed": 0,
            "total_rollback_succeeded": 0,
            "gift": {"redeemed_amount": 0, "amount_to_go": 0},
            "loyalty_card": {"redeemed_points": 0, "points_to_go": points(n)},
        },
        "orders": orders,
    }


def points(n: int | None) -> int:
    """Return the loyalty points over all campaigns."""
    return sum(campaign["points"] for campaign in _campaigns(n).values())


def loyalty(n: int | None) -> dict[str, Any]:
    """Return the `loyalty` object."""
    return {"points": points(n), "referred_customers": 0, "campaigns": _campaigns(n)}


def _campaigns(n: int | None) -> dict[str, dict[str, Any]]:
    if n is None:
        return {}
    return {
        name: {
            "points": n * 37 % 1_200 + place * 50,
            "loyalty_tier": TIERS[n * 37 % 1_200 // 600],
            "referred_customers": 0,
        }
        for place, name in enumerate(CAMPAIGNS)
        if n % (place + 2) == 0
    }


def referrals(n: int | None) -> dict[str, Any]:
    """Return the `referrals` object: every twelfth person was referred by an earlier one."""
    if not n or n % 12:
        return {"total": 0, "campaigns": []}
    referral = {
        "campaign_id": "camp_rRsfatlwN7unSeUIJDCYedal",
        "referrer_id": f"cust_{scramble(n // 12 * 5, 24)}",
        "related_object_id": f"r_{scramble(n, 18, '0123456789abcdef')}",
        "related_object_type": "redemption",
        "date": FIRST_ORDER + timedelta(hours=n * 53 % 20_000),
    }
    return {"total": 1, "campaigns": [referral]}
