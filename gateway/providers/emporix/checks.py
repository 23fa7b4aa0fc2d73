"""Check what Emporix's documents state about a segment, before anything is sent.

Facts: the OpenAPI file of the customer segment service and standard-practices/translations in
github.com/emporix/api-references, read 2026-11-21. They state neither lengths nor a format of ids.
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
"""The parts of a draft that Emporix supports."""

# RFC 5646, 2.1, except that the language has two or three letters: four are reserved, and longer
# ones were never registered. Only Emporix knows which languages a tenant has.
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

NAME_REQUIRED = "A segment of Emporix must have a name."
SITE_REQUIRED = "A segment of Emporix must belong to a site."
STATUSES = "The status of a segment of Emporix is ACTIVE or INACTIVE."


def create_problems(provider: str, draft: SegmentDraft) -> Sequence[UserError]:
    """Return the problems of a segment to create."""
    problems = [*_missing(draft), *_invalid(draft)]
    if draft.version is not None:
        text = "A new segment has no version."
        problems.append(UserError(text, Reason.UNSUPPORTED, ("version",)))
    return _of_draft(provider, draft, problems)


def upsert_problems(provider: str, draft: SegmentDraft) -> Sequence[UserError]:
    """Return the problems of a segment to create or replace."""
    problems = [*_missing(draft), *_invalid(draft)]
    if draft.key is None:
        text = "Without an id, it is not clear which segment to write."
        problems.append(UserError(text, Reason.REQUIRED, ("externalId",)))
    return _of_draft(provider, draft, problems)


def update_problems(provider: str, changes: SegmentChanges) -> Sequence[UserError]:
    """Return the problems of changes to a segment."""
    given = {
        name: value
        for name in changes.__struct_fields__
        if (value := getattr(changes, name)) is not UNSET
    }
    cleared = {name for name, value in given.items() if value is None}
    problems = list(_invalid(SegmentDraft(**given)))
    problems += [
        UserError(NAME_REQUIRED, Reason.REQUIRED, (name,))
        for name in ("name", "names")
        if name in cleared
    ]
    if "site_code" in cleared:
        problems.append(UserError(SITE_REQUIRED, Reason.REQUIRED, ("siteCode",)))
    if "status" in cleared:
        problems.append(UserError(STATUSES, Reason.REQUIRED, ("status",)))
    return [replace(each, provider=provider) for each in problems]


def _of_draft(
    provider: str, draft: SegmentDraft, problems: Sequence[UserError]
) -> Sequence[UserError]:
    problems = [replace(each, provider=provider) for each in problems]
    return [*unsupported_parts(provider, "Emporix", draft, PARTS), *problems]


def _missing(draft: SegmentDraft) -> Iterator[UserError]:
    if draft.name is None and draft.names is None:
        yield UserError(NAME_REQUIRED, Reason.REQUIRED, ("name",))
    if draft.site_code is None:
        yield UserError(SITE_REQUIRED, Reason.REQUIRED, ("siteCode",))


def _invalid(draft: SegmentDraft) -> Iterator[UserError]:
    """Yield the problems of the parts that are given."""
    if draft.key in {"", BULK}:
        text = "A segment of Emporix cannot have this id."
        yield UserError(text, Reason.INVALID, ("externalId",))
    if draft.name is not None and not draft.name.strip():
        yield UserError(NAME_REQUIRED, Reason.INVALID, ("name",))
    if draft.names is not None and not draft.names:
        yield UserError(NAME_REQUIRED, Reason.REQUIRED, ("names",))
    for index, text in enumerate((draft.names or {}).values()):
        if not text.strip():
            yield UserError(NAME_REQUIRED, Reason.INVALID, ("names", str(index), "text"))
    yield from _languages("names", draft.names)
    yield from _languages("descriptions", draft.descriptions)
    if draft.site_code == "":
        yield UserError(SITE_REQUIRED, Reason.INVALID, ("siteCode",))
    if draft.status is Status.UNKNOWN:
        yield UserError(STATUSES, Reason.INVALID, ("status",))
    since, until = draft.validity or (None, None)
    if since is not None and until is not None and until < since:
        text = "The end is before the start."
        yield UserError(text, Reason.INVALID, ("validity", "to"))


def _languages(field: str, texts: Mapping[str, str] | None) -> Iterator[UserError]:
    for index, language in enumerate(texts or ()):
        if not _LANGUAGE_TAG.fullmatch(language):
            text = "This is not a language tag (BCP 47) such as en or pt-BR."
            yield UserError(text, Reason.INVALID, (field, str(index), "language"))
