"""What can be read: each list and lookup of the schema, made of the providers' parts of it."""
