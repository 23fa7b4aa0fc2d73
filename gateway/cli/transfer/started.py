"""When each import was first started: its keys hold for 24 hours, and are not used later."""

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

KEYS_HOLD: Final = timedelta(hours=23, minutes=30)
"""A little less than a gateway keeps an `idempotencyKey`."""


def state_file(environment: Mapping[str, str]) -> Path:
    """Return the file of this user's imports, in the state directory of the XDG specification."""
    folder = Path(environment.get("XDG_STATE_HOME", ""))
    base = folder if folder.is_absolute() else Path.home() / ".local" / "state"
    return base / "segment-gateway" / "imports.json"


class StartedImports:
    """Remembers the start of imports, by digest."""

    def __init__(
        self, file: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Keep them in this file, which is created when it is first needed."""
        self._file = file
        self._now = now

    def since(self, digest: str, *, again: bool) -> datetime | None:
        """Return when this import was first started; now if it is new, or is to be done again.

        None: so long ago that its keys no longer hold.
        """
        known = self._known()
        now = self._now()
        started = known.get(digest)
        if started is not None and now - started <= KEYS_HOLD and not again:
            return started
        if started is not None and not again:
            return None
        recent = {each: at for each, at in known.items() if now - at <= timedelta(days=90)}
        self._write({**recent, digest: now})
        return now

    def _known(self) -> Mapping[str, datetime]:
        try:
            document = json.loads(self._file.read_text(encoding="utf-8"))
            return {each: datetime.fromisoformat(at) for each, at in document.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _write(self, imports: Mapping[str, datetime]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({each: at.isoformat() for each, at in imports.items()})
        new = self._file.with_suffix(f".{os.getpid()}")
        new.write_text(text, encoding="utf-8")
        new.replace(self._file)
