"""Routes over the path as it was sent: an id may contain a slash, a colon or any letter."""

from urllib.parse import unquote

from starlette.routing import Match, Route
from starlette.types import Scope


class RawRoute(Route):
    """A route that splits the raw path and only then decodes its parameters.

    Starlette's own matches the decoded path, where `%2F` in an id has become a separator.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the percent-encoded path; path parameters come out decoded."""
        if scope["type"] != "http":
            return Match.NONE, {}
        sent = {**scope, "path": scope["raw_path"].decode("ascii"), "root_path": ""}
        match, child_scope = super().matches(sent)
        if match is not Match.NONE:
            parameters = child_scope["path_params"]
            child_scope["path_params"] = {key: unquote(text) for key, text in parameters.items()}
        return match, child_scope
