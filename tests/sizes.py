"""How much a test does: little in CI, much under `make test-long`."""

import os
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

T = TypeVar("T")


def size(name: str, normal: int, long: int) -> int:
    """Return how often, or with how many, a test works.

    The environment variable `name` decides; else it is `long` under `make test-long` (`LONG=1`)
    and `normal` everywhere else.
    """
    chosen = os.environ.get(name)
    if chosen is not None:
        return int(chosen)
    return long if os.environ.get("LONG") else normal


def sample(names: Sequence[tuple[str, T]], most: int) -> Sequence[T]:
    """Return so many of each name at most, the first, the last, and some evenly between them."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, (name, _) in enumerate(names):
        places[name].append(place)
    chosen = chain.from_iterable(
        each
        if len(each) <= most
        else (each[round(n * (len(each) - 1) / (most - 1))] for n in range(most))
        for each in places.values()
    )
    return [names[place][1] for place in sorted(chosen)]
