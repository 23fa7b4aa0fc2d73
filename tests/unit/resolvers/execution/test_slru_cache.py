"""The cache of documents: each text has its own value, whatever is evicted."""

from typing import NamedTuple

from resolvers.execution.slru_cache import MAX_DOCUMENTS, MAX_WEIGHT, SegmentedLruCache


class Value(NamedTuple):
    """A value of a text."""

    text: str
    weight: int = 1
    is_good: bool = True


def test_a_text_has_its_own_value_while_others_are_demoted() -> None:
    """Protected values that no longer fit become probationary; the one in use is returned."""
    cache: SegmentedLruCache[Value] = SegmentedLruCache()
    texts = [f"document {number}" for number in range(MAX_DOCUMENTS)]
    for text in texts:
        cache.put(text, Value(text))
    for _ in range(2):
        assert [cache.get(text) for text in texts] == [Value(text) for text in texts]
    assert sorted(cache) == sorted(Value(text) for text in texts)


def test_a_heavy_value_is_its_own_while_lighter_ones_are_demoted() -> None:
    """The same by size."""
    cache: SegmentedLruCache[Value] = SegmentedLruCache()
    heavy = Value("heavy", MAX_WEIGHT // 2)
    for value in (Value("a", MAX_WEIGHT // 4), Value("b", MAX_WEIGHT // 5), heavy):
        cache.put(value.text, value)
        assert cache.get(value.text) == value
    assert cache.get("b") == Value("b", MAX_WEIGHT // 5)


def test_a_value_that_grows_is_weighed_again() -> None:
    """What no longer fits goes: the oldest probationary value, then the oldest protected one."""

    class Growing:
        is_good = True

        def __init__(self, weight: int) -> None:
            self.weight = weight

    cache: SegmentedLruCache[Growing] = SegmentedLruCache()
    values = {name: Growing(MAX_WEIGHT // 4) for name in ("a", "b", "c")}
    for name, value in values.items():
        cache.put(name, value)
    assert cache.get("a") is values["a"]
    values["c"].weight = MAX_WEIGHT * 3 // 4
    cache.grown("c")
    assert list(cache) == [values["a"], values["c"]]
    values["a"].weight = MAX_WEIGHT
    cache.grown("a")
    assert list(cache) == [values["a"]]
    cache.grown("b")  # no longer cached
    assert list(cache) == [values["a"]]
