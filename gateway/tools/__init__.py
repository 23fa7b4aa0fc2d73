"""Documents that agents call as tools."""
