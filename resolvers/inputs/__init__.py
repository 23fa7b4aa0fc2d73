"""The input types of the schema, and their conversion to domain values."""
