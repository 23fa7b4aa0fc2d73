"""When each import was first started: its keys hold for 24 hours, and are not used later."""

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

KEYS_HOLD: Final = timedelta(hours=23, minutes=30)
"""A little less than a gateway keeps an `idempotencyKey`."""


def state_file(environment: Mapping[str, str]) -> Path:
    """Return the file of this user's imports, in the state directory of the XDG specification."""
    folder = Path(environment.get("XDG_STATE_HOME", ""))
    base = folder if folder.is_absolute() else Path.home() / ".local" / "state"
    return base / "segment-gateway" / "imports.json"


class Started(NamedTuple):
    """When an import was started."""

    at: datetime
    is_repetition: bool = False
    """Whether all of its rows were to be sent again."""

    @property
    def suffix(self) -> str:
        """What its keys end with, so that those of a repetition are new."""
        return f"-{self.at:%Y%m%dT%H%M%S}" if self.is_repetition else ""


class StartedImports:
    """Remembers the start of imports, by digest."""

    def __init__(
        self, file: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Keep them in this file, which is created when it is first needed."""
        self._file = file
        self._now = now

    def since(self, digest: str, *, again: bool) -> Started | None:
        """Return when this import was first started; now if it is new, or is to be done again.

        None: so long ago that its keys no longer hold.
        """
        known = self._known()
        now = self._now()
        started = known.get(digest)
        if started is not None and not again:
            return started if now - started.at <= KEYS_HOLD else None
        recent = {each: one for each, one in known.items() if now - one.at <= timedelta(days=90)}
        new = Started(now, is_repetition=again)
        self._write({**recent, digest: new})
        return new

    def _known(self) -> Mapping[str, Started]:
        try:
            document = json.loads(self._file.read_text(encoding="utf-8"))
            return {
                each: Started(datetime.fromisoformat(at), bool(is_repetition))
                for each, (at, is_repetition) in document.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _write(self, imports: Mapping[str, Started]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(
            {each: [one.at.isoformat(), one.is_repetition] for each, one in imports.items()}
        )
        new = self._file.with_suffix(f".{os.getpid()}")
        new.write_text(text, encoding="utf-8")
        new.replace(self._file)
