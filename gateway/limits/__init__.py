"""Limits on requests, and the budgets of callers."""
