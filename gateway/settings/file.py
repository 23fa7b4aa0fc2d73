"""The configuration file: where it is, and what stands in place of secrets."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.errors import Problem, SettingsError

CONFIG_VARIABLE = "GATEWAY_CONFIG"
"""The environment variable that names the file when the command line does not."""

_REFERENCE = re.compile(r"\$\{([^}]*)\}")

_UNBRACED = re.compile(r"\$[A-Z][A-Z0-9_]*")
"""A value that was probably meant as a reference. A secret may begin with `$`, too."""

CORS_VARIABLE = "GATEWAY_CORS"
"""The environment variable by which the command line passes on browser origins, with spaces."""

FILE = "file:"
"""`${file:PATH}` stands for the text of a file, where a name would be a variable."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def pid_file(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Return `server.pid_file`, whatever the rest of the configuration says.

    Raises `SettingsError` if the file cannot be read.
    """
    path = file_of(path, environment)
    server = {} if path is None else document_of(path).get("server")
    value = server.get("pid_file") if isinstance(server, dict) else None
    return Path(value) if isinstance(value, str) else None


def file_of(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Return the file that `path` or else `GATEWAY_CONFIG` names; None: neither does."""
    named = environment.get(CONFIG_VARIABLE)
    return Path(named) if path is None and named else path


def document_of(path: Path) -> Mapping[str, Any]:
    """Return the file as TOML. Raises `SettingsError`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        text = f"cannot be read: {error.strerror or type(error).__name__}"
        raise SettingsError([Problem(str(path), text)]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([Problem(str(path), f"is not TOML: {error}")]) from error


def substitute(
    value: Any, environment: Mapping[str, str], path: str, missing: list[Problem]
) -> Any:
    """Return the document with every `${NAME}` and `${file:PATH}` replaced.

    Adds problems to `missing`.
    """
    if isinstance(value, dict):
        return {
            key: substitute(part, environment, f"{path}.{key}" if path else key, missing)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [
            substitute(part, environment, f"{path}[{index}]", missing)
            for index, part in enumerate(value)
        ]
    if not isinstance(value, str):
        return value
    if _UNBRACED.fullmatch(value):
        # Not quoted: it may be a secret.
        text = "would be used as it stands: an environment variable is written ${NAME}, in braces"
        missing.append(Problem(path, text))

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith(FILE):
            return _content(Path(name.removeprefix(FILE)), path, missing) or match[0]
        if not _NAME.fullmatch(name):
            missing.append(Problem(path, f"${{{name}}} is not the name of a variable"))
        elif name not in environment:
            missing.append(Problem(path, f"the environment variable {name} is not set"))
        return environment.get(name, match[0])

    return _REFERENCE.sub(replace, value)


def _content(file: Path, path: str, missing: list[Problem]) -> str | None:
    """Return the text of a file without its last line ending; None: it cannot be used."""
    if not file.is_absolute():
        missing.append(Problem(path, f"${{{FILE}{file}}} is not an absolute path"))
        return None
    try:
        text = file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        missing.append(Problem(path, f"the file {file} cannot be read: {why}"))
        return None
    if not text:
        missing.append(Problem(path, f"the file {file} is empty"))
    return text
