"""`gateway import` and `gateway export`: clients of a gateway's /graphql, like any other."""
