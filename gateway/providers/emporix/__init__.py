"""Emporix: commerce, with hand-kept segments of customers and items."""
