"""The store: the gateway's own durable state, in SQLite or PostgreSQL.

Open and close `store.Store` inside the running loop. Any number of processes may share one
database, and each may be killed at any moment.

    location = database_url(settings.store.url, os.environ)
    store = await Store.open(location)  # creates and migrates the database
    await store.close()

`write_intents` holds what was sent to providers that cannot be read. An intent is committed
before the provider is called, and settled afterwards:

    intents = store.write_intents
    while rows:
        begun = await intents.begin(provider, rows, write, deadline)
        ...  # send begun.claim.rows: fewer than `rows` if other writes have the other customers
        superseded = await intents.settle(begun.claim, {customer: Settlement.CONFIRMED, ...})
        rows = begun.left

    for claim in await intents.overdue(providers): ...  # send claim.rows again, then settle

Adapters' lookups are answered by `await store.look_up(provider, lookup)`, a reverse call by
`await store.newest_tags(provider, customer)`.

`await store.once(key, digest, run, deadline)` runs a write at most once for an idempotency key;
`await store.sweep()` deletes expired keys. Deadlines are on the event loop's clock, in seconds.
"""
