"""Global ids: one spelling for each thing, and no other text is one."""

from base64 import urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from gateway.domain.entities import Assignment, AssignmentRef, Customer, Membership, Ref, Segment
from gateway.domain.texts import NO_TEXTS
from gateway.errors import BadInput
from resolvers import global_ids
from resolvers.global_ids import MAX_CHARACTERS, Kind

parts = st.text(min_size=1, max_size=40)
refs = st.builds(Ref, parts, parts)
assignment_refs = st.builds(AssignmentRef, parts, parts, parts, st.none() | parts)
NOT_OURS = r"^This is not an id of this gateway\.$"


def packed(value: Any) -> str:
    """Return any JSON in the clothes of an id."""
    return urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


@given(ref=refs)
def test_a_reference_comes_back(ref: Ref) -> None:
    """An id decodes to the parts it was encoded from, by the decoder of its type only."""
    segment, customer = global_ids.of_ref(Kind.SEGMENT, ref), global_ids.of_ref(Kind.CUSTOMER, ref)
    assert (global_ids.segment(segment), global_ids.customer(customer)) == (ref, ref)
    assert segment != customer
    with pytest.raises(BadInput, match=r"^This is not the id of a segment\.$"):
        global_ids.segment(customer)
    with pytest.raises(BadInput, match=r"^This is not the id of a customer\.$"):
        global_ids.customer(segment)


@given(ref=assignment_refs)
def test_an_assignments_reference_comes_back(ref: AssignmentRef) -> None:
    """With a legal entity and without."""
    kind, read = global_ids.read(global_ids.of_ref(Kind.ASSIGNMENT, ref))
    assert (kind, AssignmentRef(*read)) == (Kind.ASSIGNMENT, ref)


segments = st.builds(
    lambda ref: Segment(ref=ref, names=NO_TEXTS, membership=Membership.RULE), refs
)
customers = st.builds(lambda ref: Customer(ref=ref, keys=()), refs)
assignments = st.builds(lambda ref: Assignment(ref=ref), assignment_refs)


@given(
    values=st.lists(segments)
    | st.lists(customers)
    | st.lists(assignments)
    | st.lists(segments | customers | assignments)
)
def test_ids_of_a_list(values: list[Any]) -> None:
    """Each has the id that it has alone, and that its reference has."""
    kinds: dict[type, Kind] = {
        Segment: Kind.SEGMENT,
        Customer: Kind.CUSTOMER,
        Assignment: Kind.ASSIGNMENT,
    }
    expected = [global_ids.of_ref(kinds[type(value)], value.ref) for value in values]
    assert global_ids.of_each(values) == [global_ids.of(value) for value in values] == expected


@given(one=refs | assignment_refs, other=refs | assignment_refs)
def test_different_things_have_different_ids(
    one: Ref | AssignmentRef, other: Ref | AssignmentRef
) -> None:
    """Equal ids mean equal things."""
    same = global_ids.of_ref(Kind.SEGMENT, one) == global_ids.of_ref(Kind.SEGMENT, other)
    assert same == (
        [p for p in astuple(one) if p is not None] == [p for p in astuple(other) if p is not None]
    )


@given(text=st.text(max_size=60))
def test_any_text_is_refused_or_an_id(text: str) -> None:
    """What is read is exactly what would be written."""
    try:
        kind, read = global_ids.read(text)
    except BadInput:
        return
    assert packed([kind.value, *read]) == text


@given(ref=refs, at=st.integers(0, 200), put=st.characters())
def test_an_id_with_one_character_changed_is_refused_or_another(
    ref: Ref, at: int, put: str
) -> None:
    """No second spelling of the same thing."""
    text = global_ids.of_ref(Kind.SEGMENT, ref)
    at %= len(text)
    changed = text[:at] + put + text[at + 1 :]
    try:
        read = global_ids.read(changed)
    except BadInput:
        return
    assert (read == (Kind.SEGMENT, astuple(ref))) == (changed == text)


GOOD = global_ids.of_ref(Kind.SEGMENT, Ref("acme", "4711"))


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param("", id="empty"),
        pytest.param("4711", id="the provider's own id"),
        pytest.param("é" * 8, id="not ASCII"),
        pytest.param(GOOD + "=", id="padded"),
        pytest.param(f" {GOOD}", id="a space before it"),
        pytest.param(f"{GOOD[:4]}\n{GOOD[4:]}", id="a line break in it"),
        pytest.param(
            urlsafe_b64encode(b'["s", "acme", "4711"]').decode().rstrip("="), id="spaces"
        ),
        pytest.param(packed([]), id="nothing in it"),
        pytest.param(packed(["x", "acme", "1"]), id="an unknown type"),
        pytest.param(packed(["s", "acme"]), id="too few parts"),
        pytest.param(packed(["s", "acme", ""]), id="an empty part"),
        pytest.param(packed(["s", "acme", "1", "2"]), id="too many parts"),
        pytest.param(packed(["p", "acme", "1"]), id="a provider with too many"),
        pytest.param(packed(["a", "acme", "1"]), id="an assignment with too few"),
        pytest.param(packed(["a", "acme", "1", "2", "3", "4"]), id="an assignment with too many"),
        pytest.param(packed(["i", "b", "1", "a", "1"]), id="a link in the wrong order"),
        pytest.param(packed(["i", "a", "1", "a", "1"]), id="a link of one customer"),
        pytest.param(packed(["s", "acme", 1]), id="a number"),
        pytest.param(packed(["s", "acme", None]), id="null"),
        pytest.param(packed({"s": "acme"}), id="an object"),
        pytest.param(packed(["s", "acme", "x" * MAX_CHARACTERS]), id="too long"),
        pytest.param(urlsafe_b64encode(b"[" * 900).decode(), id="too deep"),
        pytest.param(urlsafe_b64encode(b'["s","a","\xff"]').decode(), id="not UTF-8"),
    ],
)
def test_what_is_no_id_is_refused(forged: str) -> None:
    """One message for all, which tells nothing of what was given."""
    for read in (global_ids.read, global_ids.segment, global_ids.customer):
        with pytest.raises(BadInput, match=NOT_OURS):
            read(forged)


def test_what_ids_mean_is_kept_within_bounds() -> None:
    """A flood of ids does not fill the memory; invalid ids are not cached."""
    global_ids.parts_of.cache_clear()
    with pytest.raises(BadInput):
        global_ids.read("4711")
    assert global_ids.parts_of.cache_info().currsize == 0
    for number in range(global_ids.CACHED_IDS + 1):
        global_ids.segment(packed(["s", "acme", str(number)]))
    assert global_ids.parts_of.cache_info().currsize == global_ids.CACHED_IDS
