"""The browser pages: built from `web/` into `static/`, with the example queries they show."""
