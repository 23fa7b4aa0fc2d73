"""What Emporix's documents forbid of a segment, told before anything is sent.

Facts: the OpenAPI file of the customer segment service and standard-practices/translations in
github.com/emporix/api-references, read 2026-11-21. No length is documented, nor any form of ids.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from gateway.domain.entities import Status
from gateway.domain.mutations import Reason, SegmentChanges, SegmentDraft, UserError
from gateway.providers.base.write_protocols import unsupported_parts
from gateway.providers.emporix.paths import BULK

PARTS = frozenset(
    {
        "key",
        "name",
        "names",
        "description",
        "descriptions",
        "status",
        "validity",
        "site_code",
        "attributes",
        "version",
    }
)
"""The parts of a draft that a segment of Emporix can have."""

# RFC 5646, 2.1, by the letter, but a language of its own has two letters or three: four are
# reserved, and none of more was ever registered. Which of them a tenant has, only Emporix knows.
_LANGUAGE_TAG = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}"  # language
    r"(?:-[a-z]{4})?"  # script
    r"(?:-(?:[a-z]{2}|[0-9]{3}))?"  # region
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"  # variants
    r"(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*"  # extensions
    r"(?:-x(?:-[a-z0-9]{1,8})+)?"  # private use
    r"|x(?:-[a-z0-9]{1,8})+)",
    re.IGNORECASE | re.ASCII,
)

NAMELESS = "A segment of Emporix must have a name."
SITELESS = "A segment of Emporix must belong to a site."
STATUSES = "A segment of Emporix is ACTIVE or INACTIVE."


def create_problems(provider: str, draft: SegmentDraft) -> Sequence[UserError]:
    """Return what is wrong with a segment that is to be made."""
    found = [*_missing(draft), *_wrong(draft)]
    if draft.version is not None:
        told = "A segment that is yet to be made has no version."
        found.append(UserError(told, Reason.UNSUPPORTED, ("version",)))
    return _of_draft(provider, draft, found)


def upsert_problems(provider: str, draft: SegmentDraft) -> Sequence[UserError]:
    """Return what is wrong with a segment that is to be written, new or not."""
    found = [*_missing(draft), *_wrong(draft)]
    if draft.key is None:
        told = "Without an id it is not known which segment is to be written."
        found.append(UserError(told, Reason.REQUIRED, ("externalId",)))
    return _of_draft(provider, draft, found)


def update_problems(provider: str, changes: SegmentChanges) -> Sequence[UserError]:
    """Return what is wrong with changes of a segment."""
    given = {
        name: value
        for name in changes.__struct_fields__
        if (value := getattr(changes, name)) is not UNSET
    }
    cleared = {name for name, value in given.items() if value is None}
    found = list(_wrong(SegmentDraft(**given)))
    found += [
        UserError(NAMELESS, Reason.REQUIRED, (name,))
        for name in ("name", "names")
        if name in cleared
    ]
    if "site_code" in cleared:
        found.append(UserError(SITELESS, Reason.REQUIRED, ("siteCode",)))
    if "status" in cleared:
        found.append(UserError(STATUSES, Reason.REQUIRED, ("status",)))
    return [replace(each, provider=provider) for each in found]


def _of_draft(
    provider: str, draft: SegmentDraft, found: Sequence[UserError]
) -> Sequence[UserError]:
    ours = [replace(each, provider=provider) for each in found]
    return [*unsupported_parts(provider, "Emporix", draft, PARTS), *ours]


def _missing(draft: SegmentDraft) -> Iterator[UserError]:
    if draft.name is None and draft.names is None:
        yield UserError(NAMELESS, Reason.REQUIRED, ("name",))
    if draft.site_code is None:
        yield UserError(SITELESS, Reason.REQUIRED, ("siteCode",))


def _wrong(draft: SegmentDraft) -> Iterator[UserError]:
    """Return what is wrong with the parts that are given."""
    if draft.key in {"", BULK}:
        told = "No segment of Emporix can have this id."
        yield UserError(told, Reason.INVALID, ("externalId",))
    if draft.name is not None and not draft.name.strip():
        yield UserError(NAMELESS, Reason.INVALID, ("name",))
    if draft.names is not None and not draft.names:
        yield UserError(NAMELESS, Reason.REQUIRED, ("names",))
    for index, text in enumerate((draft.names or {}).values()):
        if not text.strip():
            yield UserError(NAMELESS, Reason.INVALID, ("names", str(index), "text"))
    yield from _languages("names", draft.names)
    yield from _languages("descriptions", draft.descriptions)
    if draft.site_code == "":
        yield UserError(SITELESS, Reason.INVALID, ("siteCode",))
    if draft.status is Status.UNKNOWN:
        yield UserError(STATUSES, Reason.INVALID, ("status",))
    since, until = draft.validity or (None, None)
    if since is not None and until is not None and until < since:
        told = "The end lies before the beginning."
        yield UserError(told, Reason.INVALID, ("validity", "to"))


def _languages(field: str, texts: Mapping[str, str] | None) -> Iterator[UserError]:
    for index, language in enumerate(texts or ()):
        if not _LANGUAGE_TAG.fullmatch(language):
            told = "This is no language tag (BCP 47), as en and pt-BR are."
            yield UserError(told, Reason.INVALID, (field, str(index), "language"))
