"""Everything GraphQL and nothing else."""
