"""The schema as a subgraph of Apollo Federation 2."""
