"""JSON Patch (RFC 6902), as far as the segment service takes it: add, remove, replace."""

from copy import deepcopy
from typing import Any

from msgspec import UNSET

from gateway.sandbox.emporix.bodies import PatchOperation
from gateway.sandbox.emporix.faults import RefusedError, invalid


def patched(document: dict[str, Any], operations: list[PatchOperation]) -> dict[str, Any]:
    """Return a changed copy; RefusedError (400) when any operation cannot be done."""
    copy = deepcopy(document)
    for operation in operations:
        _apply(copy, operation)
    return copy


def _apply(document: Any, operation: PatchOperation) -> None:
    if not operation.path.startswith("/"):
        raise _impossible(operation)
    parts = operation.path[1:].split("/")
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in parts]
    target = document
    for parent in parents:
        inner = target.get(parent) if isinstance(target, dict) else _element(target, parent)
        if not isinstance(inner, dict | list):
            raise _impossible(operation)
        target = inner
    if operation.op != "remove" and operation.value is UNSET:
        raise invalid("a value is required", operation.path)
    if isinstance(target, dict):
        _change_object(target, last, operation)
    else:
        _change_array(target, last, operation)


def _element(array: list[Any], position: str) -> Any:
    at = int(position) if position.isdecimal() else len(array)
    return array[at] if at < len(array) else None


def _change_object(target: dict[str, Any], name: str, operation: PatchOperation) -> None:
    if operation.op != "add" and name not in target:
        raise _impossible(operation)
    if operation.op == "remove":
        del target[name]
    else:
        target[name] = operation.value


def _change_array(target: list[Any], position: str, operation: PatchOperation) -> None:
    is_end = position == "-" and operation.op == "add"
    at = len(target) if is_end else int(position) if position.isdecimal() else -1
    if not 0 <= at < len(target) + (operation.op == "add"):
        raise _impossible(operation)
    if operation.op == "add":
        target.insert(at, operation.value)
    elif operation.op == "remove":
        del target[at]
    else:
        target[at] = operation.value


def _impossible(operation: PatchOperation) -> RefusedError:
    return invalid(f"{operation.op} is not possible here", operation.path)
