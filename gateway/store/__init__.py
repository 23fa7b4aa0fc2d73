"""The record: what the gateway itself must remember, in SQLite or PostgreSQL.

`record.Record` is the whole of it: opened and closed inside the running loop, by any number of
processes at once. It survives being killed at any moment.

    place = located(settings.store.url, os.environ)    # location; place.shown is for people
    record = await Record.open(place)                  # makes and migrates the database
    await record.close()

What providers that cannot be read were told (`tags`). The intent is committed before the provider
is called and settled after:

    while rows:
        begun = await record.tags.begin(provider, rows, write, deadline)
        ...  # send begun.claim.rows, which may be fewer than asked: the others are being written
        superseded = await record.tags.settle(begun.claim, {customer: Settlement.CONFIRMED, ...})
        rows = begun.left

    for claim in await record.tags.overdue(providers): ...  # send claim.rows again, and settle

What is read of it: `await record.answer(provider, lookup)` for the lookups of `exchange`,
and `await record.wanted(provider, customer)` for whoever asks the gateway as the source.

Idempotency keys: `await record.once(key, digest, run, deadline)`; `await record.sweep()` forgets
the expired ones. Deadlines are on the event loop's clock, in seconds.
"""
