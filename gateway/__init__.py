"""The gateway without its GraphQL schema: HTTP server, reads, writes, store and providers."""

__version__ = "0.2.0"
