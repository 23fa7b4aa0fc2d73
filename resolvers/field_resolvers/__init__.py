"""How fields get their values, by the type that they belong to."""
