"""Execution of GraphQL operations."""
