"""What alembic runs for every command: over the connection and transaction of its caller."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
