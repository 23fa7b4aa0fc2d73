"""The store: the gateway's own durable state, in SQLite or PostgreSQL.

Open and close `store.Store` inside the running loop. Any number of processes may share one
database, and each may be killed at any moment.

    location = database_url(settings.store.url, os.environ)
    store = await Store.open(location)  # creates and migrates the database
    await store.close()

`tags` holds what was sent to providers that cannot be read. A write intent is committed before
the provider is called, and settled afterwards:

    while rows:
        begun = await store.tags.begin(provider, rows, write, deadline)
        ...  # send begun.claim.rows: fewer than `rows` if other writes have the other customers
        superseded = await store.tags.settle(begun.claim, {customer: Settlement.CONFIRMED, ...})
        rows = begun.left

    for claim in await store.tags.overdue(providers): ...  # send claim.rows again, then settle

`await store.answer(provider, lookup)` answers the lookups of adapters, and
`await store.wanted(provider, customer)` a reverse call.

`await store.once(key, digest, run, deadline)` runs a write at most once for an idempotency key;
`await store.sweep()` deletes expired keys. Deadlines are on the event loop's clock, in seconds.
"""
