"""Fields of the rows of a membership test."""
