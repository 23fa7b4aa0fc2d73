"""The lists and lookups of the schema, merged over the providers."""
