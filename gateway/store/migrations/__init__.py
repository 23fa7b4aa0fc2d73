"""How the tables came to be: alembic's directory, run by `gateway.store.migrate`."""
