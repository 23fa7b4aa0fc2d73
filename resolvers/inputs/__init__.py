"""The input types of the schema, and their way to domain values."""
