"""The browser pages, built from `web/` into `static/`, and their example queries."""
