"""Emporix: commerce, with manually maintained segments of customers and items."""
