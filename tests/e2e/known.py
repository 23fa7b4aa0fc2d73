"""What the sandbox's providers have, each in the order it tells it."""

from gateway.sandbox.people import person

STUUT = (
    "Key accounts",
    "DACH strategic",
    "Hospitals and practices abroad",
    "Food wholesale",
    "Latin America",
    "Retail on sixty days",
    "Rest of DACH",
    "Poland retail",
)
"""Of priority 0 to 7, made a day apart."""

VOUCHERIFY_STATIC = (
    "Goodwill after the outage",
    "Store opening guests",
    "App beta testers",
    "Customer advisory board",
)
VOUCHERIFY = (
    "Gold and Silver in Germany",
    "Before the relaunch or born before 1960",
    "Summer points, 600 and more",
    "Goodwill after the outage",
    "Never bought",
    "Frequent buyers",
    "Birthday next month",
    "Store opening guests",
    "Latin America",
    "German-speaking countries",
    "Newsletter readers",
    "Silver members",
    "Gold members",
    "Bronze members",
    "App beta testers",
    "Customer advisory board",
)
"""Newest first."""

VOUCHERIFY_RULES = tuple(name for name in VOUCHERIFY if name not in VOUCHERIFY_STATIC)

EMPORIX_INACTIVE = ("Dormant accounts", "Staff discount", "Food trade")
EMPORIX_OUTLET = ("Newsletter readers", "Summer sale 2025", "Staff discount", "Outlet regulars")
EMPORIX = (
    "Golden customers",
    "VIP 2026",
    "B2B partners",
    "Silver circle",
    "Bronze starters",
    "Newsletter readers",
    "Summer sale 2025",
    "Spring preview 2035",
    "Dormant accounts",
    "German-speaking shoppers",
    "Latin America",
    "Staff discount",
    "Medical professionals",
    "Outlet regulars",
    "Food trade",
    "Birthday club",
)
"""Oldest first."""

EVERY_NAME = (*STUUT, *VOUCHERIFY, *EMPORIX)

HIRO = person(1)
"""Known to all who can be read: Silver, and buys for two legal entities in Vienna."""

HIRO_AT = {
    "stuut": HIRO.stuut_id or "",
    "voucherify": HIRO.voucherify_id or "",
    "emporix": HIRO.emporix_id or "",
}
HIRO_IN = {
    "stuut": ["DACH strategic"],
    "voucherify": [
        "Before the relaunch or born before 1960",
        "German-speaking countries",
        "Silver members",
        "App beta testers",
    ],
    "emporix": ["B2B partners", "Silver circle"],
}
"""The names of Hiro's segments, as each provider lists them."""

DACH_STRATEGIC = "seg_Qbb7vAJP"
"""The id of one of Stuut's segments."""

NEVER_BOUGHT = "seg_Wy4QLeequPgF5CTp4zDKcDre"
APP_BETA = "seg_YMcaAPENxq4cv6eD9Lm9DQAg"
SILVER_MEMBERS = "seg_v5tjz2V59MawAtQiKrSZgAuJ"
"""Ids of three of Voucherify's segments; the second is static."""

SEGMENT_OF = {"stuut": DACH_STRATEGIC, "voucherify": SILVER_MEMBERS, "emporix": "golden"}
"""The id of one segment of each provider that can be read."""
