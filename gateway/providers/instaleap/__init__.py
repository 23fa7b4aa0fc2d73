"""Instaleap: grocery commerce, where a segment is a (type, value) pair that customers have."""
