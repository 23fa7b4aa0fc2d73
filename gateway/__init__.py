"""The gateway without its GraphQL schema: HTTP server, reads, writes, store and providers."""
