"""The protocols that an adapter has only in part."""

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence

from gateway.providers.base import adapter as adapter_protocols
from gateway.providers.base import webhooks, write_protocols
from gateway.providers.base.adapter import Adapter


def incomplete_protocols(account: object) -> Sequence[str]:
    """Return a sentence for each protocol of which an adapter has some parts and lacks others.

    A part that several protocols have, such as `rows_per_call`, does not show which one is meant.
    """
    protocols = {each: tuple(_parts(each)) for each in _protocols()}
    owners = Counter(name for names in protocols.values() for name in names)
    sentences = []
    for protocol, names in protocols.items():
        present = [name for name in names if hasattr(account, name)]
        missing = [name for name in names if name not in present]
        if missing and any(owners[name] == 1 for name in present):
            sentences.append(
                f"{protocol.__name__} is not supported: there is {', '.join(present)}, "
                f"but not {', '.join(missing)}."
            )
    return sentences


def _protocols() -> Iterator[type]:
    for module in (adapter_protocols, write_protocols, webhooks):
        for each in vars(module).values():
            is_own = getattr(each, "__module__", None) == module.__name__
            if is_own and getattr(each, "_is_protocol", False) and each is not Adapter:
                yield each


def _parts(protocol: type) -> Iterator[str]:
    """Yield the names of a protocol's own attributes, methods and properties."""
    yield from inspect.get_annotations(protocol)
    for name, part in vars(protocol).items():
        if not name.startswith("_") and (inspect.isfunction(part) or isinstance(part, property)):
            yield name
