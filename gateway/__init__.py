"""Everything but GraphQL: what we know, whom we ask, how we serve."""
