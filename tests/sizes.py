"""How much a test does: little in CI, much under `make test-long`."""

import os


def size(name: str, normal: int, long: int) -> int:
    """Return how often, or with how many, a test works.

    The environment variable `name` decides; else it is `long` under `make test-long` (`LONG=1`)
    and `normal` everywhere else.
    """
    chosen = os.environ.get(name)
    if chosen is not None:
        return int(chosen)
    return long if os.environ.get("LONG") else normal
