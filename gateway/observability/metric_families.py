"""The metrics: names, labels and meaning. docs/observability.md explains them to operators.

Names and labels follow OpenTelemetry's conventions where there are any. Every label has a small
and fixed set of values: keys of the configuration, names in the code, statuses. None is personal.
"""

from gateway.observability.metric_table import Family, Kind

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

HTTP_REQUESTS = Family(
    "http_server_request_duration_seconds",
    "HTTP requests, by the route that served them.",
    ("http_request_method", "http_route", "http_response_status_code"),
    Kind.HISTOGRAM,
    SECONDS,
)
OPERATIONS = Family(
    "graphql_server_request_duration_seconds",
    "GraphQL operations, and events of subscriptions; named if their document is trusted.",
    ("graphql_operation_type", "graphql_operation_name", "error"),
    Kind.HISTOGRAM,
    SECONDS,
)
ERRORS = Family(
    "graphql_server_response_error_count_total",
    "Errors in responses to operations, by code.",
    ("code",),
)
CALLS = Family(
    "http_client_request_duration_seconds",
    "Attempts of calls to providers; status is empty if there was no reply.",
    ("provider", "operation", "status", "error_type"),
    Kind.HISTOGRAM,
    SECONDS,
)
RETRIES = Family(
    "gateway_provider_retries_total",
    "Attempts of calls to providers beyond the first.",
    ("provider",),
)
WAITED = Family(
    "gateway_provider_wait_seconds_total",
    "How long calls waited for a free slot or a sign-in.",
    ("provider",),
)
READS = Family(
    "gateway_provider_reads_total",
    "Reads by source: network, shared (another request's call), cached, stale, recorded.",
    ("provider", "source"),
)
SIGN_INS = Family(
    "gateway_provider_sign_ins_total",
    "Sign-ins at providers, by result: ok, failed.",
    ("provider", "result"),
)
CIRCUITS = Family(
    "gateway_provider_circuit",
    "Processes whose circuit breaker for a provider is in this state.",
    ("provider", "state"),
    Kind.SUM,
)
CALLS_NOW = Family(
    "gateway_provider_calls",
    "Calls to providers at this moment, by state: under_way, waiting.",
    ("provider", "state"),
    Kind.SUM,
)
RATE_LIMIT = Family(
    "gateway_provider_rate_limit",
    "The limit that the provider last stated, else that of its calls_per_minute.",
    ("provider",),
    Kind.MAX,
)
RATE_LIMIT_LEFT = Family(
    "gateway_provider_rate_limit_remaining",
    "Calls that the provider last stated to be left, else those left of calls_per_minute.",
    ("provider",),
    Kind.MIN,
)
BATCH_SIZES = Family(
    "gateway_loader_batch_size",
    "Keys in a batch of a loader.",
    ("loader",),
    Kind.HISTOGRAM,
    BATCHES,
)
DOCUMENTS = Family(
    "gateway_document_cache_requests_total",
    "Uses of the cache of parsed documents, by result: hit, miss.",
    ("result",),
)
PLANS = Family(
    "gateway_plan_cache_requests_total",
    "Uses of the cache of query plans, by result: hit, miss, none (no plan is possible).",
    ("result",),
)
COST = Family("gateway_cost_charged_total", "The cost that was charged to callers' budgets.")
SUBSCRIPTIONS = Family("gateway_subscriptions", "Open subscriptions.", (), Kind.SUM)
WEBHOOKS = Family(
    "gateway_webhooks_total",
    "Webhooks by result: accepted, repeated, refused, failed.",
    ("provider", "result"),
)
STORE = Family(
    "gateway_store_duration_seconds",
    "Transactions of the store, waiting included; error is true if they failed.",
    ("kind", "error"),
    Kind.HISTOGRAM,
    SECONDS,
)
CONNECTIONS = Family(
    "gateway_store_connections",
    "Connections to the store's database, by state: in_use, idle.",
    ("state",),
    Kind.SUM,
)
OVERSIZED = Family(
    "gateway_identity_links_beyond_limit_total",
    "Links that are only proposed because a person would exceed identity.max_customers.",
)
FEED_POSITION = Family(
    "gateway_change_feed_position",
    "The entry of the change log that the slowest process has read.",
    (),
    Kind.MIN,
)
CPU = Family("process_cpu_seconds_total", "User and system CPU time of all workers.")
MEMORY = Family("process_resident_memory_bytes", "Resident memory of all workers.", (), Kind.SUM)
PROCESSES = Family("gateway_processes", "Processes that serve requests.", (), Kind.SUM)
BUILD = Family("gateway_build_info", "The version.", ("version", "python"), Kind.MAX)

STORE_UP = Family("gateway_store_up", "1 if the store can be used.", (), Kind.MAX)
LOG_POSITION = Family(
    "gateway_change_log_position", "The newest entry of the change log.", (), Kind.MAX
)
INTENTS = Family(
    "gateway_write_intents",
    "Writes that were begun and whose outcome is not settled yet.",
    ("provider",),
    Kind.MAX,
)
INTENT_AGE = Family(
    "gateway_write_intent_oldest_seconds",
    "The age of the oldest of them.",
    ("provider",),
    Kind.MAX,
)
WEBHOOK_STATE = Family(
    "gateway_webhook_state",
    "1 for the state of a provider's webhooks: HEALTHY, QUIET, FAILING.",
    ("provider", "state"),
    Kind.MAX,
)
WEBHOOK_AGE = Family(
    "gateway_webhook_last_received_timestamp_seconds",
    "When the provider's last webhook was accepted.",
    ("provider",),
    Kind.MAX,
)
WEBHOOKS_PENDING = Family(
    "gateway_webhooks_pending", "Webhooks that have had no effect yet.", ("provider",), Kind.MAX
)

RECORDED = (
    HTTP_REQUESTS,
    OPERATIONS,
    ERRORS,
    CALLS,
    RETRIES,
    WAITED,
    BATCH_SIZES,
    COST,
    WEBHOOKS,
    STORE,
)
"""Counted from records."""
SAMPLED = (
    *(READS, SIGN_INS, CIRCUITS, CALLS_NOW, RATE_LIMIT, RATE_LIMIT_LEFT, DOCUMENTS, PLANS),
    *(SUBSCRIPTIONS, CONNECTIONS, OVERSIZED, FEED_POSITION, CPU, MEMORY, PROCESSES, BUILD),
)
"""Read from each process's state."""
SHARED = (
    STORE_UP,
    LOG_POSITION,
    INTENTS,
    INTENT_AGE,
    WEBHOOK_STATE,
    WEBHOOK_AGE,
    WEBHOOKS_PENDING,
)
"""Read from the store, which all processes share, by the one that is scraped."""
FAMILIES = (*RECORDED, *SAMPLED, *SHARED)
