"""Text for keeping: what a program or a library said, without secrets and without who and where said it.

Records and reports are committed and shown to others; reasons, the ends of logs and commands come from anywhere.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

from harness.records.environment import without_home

SECRET, USER, HOST, PYTHON = "<secret>", "<user>", "<host>", "<python>"
_SYSTEM = ("/", "/usr", "/usr/local")
"""Prefixes of Python that say nothing of who uses it."""
_TOKENS = re.compile(
    r"""\b(?:
        hf_[A-Za-z0-9]{16,} | api_org_[A-Za-z0-9]{16,}                 # Hugging Face
      | gh[opsur]_[A-Za-z0-9]{16,} | github_pat_\w{16,} | glpat-[\w-]{16,}
      | sk-[\w-]{16,} | xox[abeprs]-[\w-]{8,} | pypi-[\w-]{16,}
      | AKIA[0-9A-Z]{16} | AIza[\w-]{30,}
      | eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                               # JSON web tokens
    )""",
    re.VERBOSE,
)
_HEADERS = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_LOGINS = re.compile(r"(?<=://)[^\s/@'\"]+@")
_QUERIES = re.compile(r"(\bhttps?://[^\s?'\"<>]+\?)[^\s'\"<>]+", re.IGNORECASE)
"""Addresses that stores sign carry their key in the query."""
_SECRET_NAMES = re.compile(r"(^|_)(TOKENS?|(API)?KEYS?|PASS(WORD|WD|PHRASE)?|PWD|SECRETS?|CREDENTIALS?|PAT)($|_)")
_NO_SECRETS = ("PWD", "OLDPWD")
_SHORTEST_SECRET = 6
"""Letters; a shorter value would take ordinary words away, and protects nothing."""
_HOMES = re.compile(r"((?:^|(?<=[^\w.]))/(?:home|Users)/|\b[A-Za-z]:[\\/]+Users[\\/]+)(?!<user>)[^\s/\\:;,'\"]+")
_NOBODY = {"root", "user", "admin", "nobody", "default", "runner", "ubuntu", "localhost"}
"""Names of accounts and machines that name nobody, and that are ordinary words."""
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What moves a terminal's cursor, colours or title; line feeds and tabs stay."""


def without_private(text: str) -> str:
    """Text without control characters, tokens and passwords, the user's home and name, and the machine's name.

    What is known to be secret goes: tokens by their form, values of environment variables by the variable's name
    (``*_TOKEN``, ``*_KEY``, ``*PASSWORD*`` and the like), logins and queries of addresses. The user's name goes from
    paths, where it is a whole part of a name; the machine's name wherever it stands alone. The folder of the Python
    environment is written ``<python>``.
    """
    text = without_controls(text)
    if sys.prefix not in _SYSTEM:
        text = text.replace(sys.prefix, PYTHON)
    for value in _secret_values():
        text = text.replace(value, SECRET)
    text = _TOKENS.sub(SECRET, text)
    text = _HEADERS.sub(rf"\1 {SECRET}", text)
    text = _LOGINS.sub(f"{SECRET}@", text)
    text = _QUERIES.sub(r"\1…", text)
    text = _HOMES.sub(rf"\1{USER}", without_home(text))
    for name in _user_names():
        text = re.sub(r"\S*[/\\]\S*", lambda path, name=name: _nameless(path[0], name), text)  # type: ignore[misc]
    for name in _host_names():
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", HOST, text, flags=re.IGNORECASE)
    return text


def without_controls(text: str) -> str:
    """Text without control characters but line feeds and tabs, and without the sequences that terminals obey."""
    return _CONTROL.sub("", text)


def all_without_private(value: Any) -> Any:
    """Plain values for JSON, every text in them :func:`without_private`; keys stay."""
    if isinstance(value, str):
        return without_private(value)
    if isinstance(value, dict):
        return {key: all_without_private(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [all_without_private(each) for each in value]
    return value


def _nameless(path: str, name: str) -> str:
    """A path without the name in it; the addresses of the web, where a name means an account, stay."""
    if "://" in path and not path.startswith("file:"):
        return path
    begins = r"[/\\_-]" if re.match(r"\W*/", path) else r"[/\\]"
    return re.sub(rf"(?<={begins}){re.escape(name)}(?![A-Za-z0-9])", USER, path)


def _secret_values() -> list[str]:
    """Values of environment variables that are named like secrets, the longest first."""
    found = {
        value.strip()
        for name, value in os.environ.items()
        if _SECRET_NAMES.search(name.upper()) and name not in _NO_SECRETS and len(value.strip()) >= _SHORTEST_SECRET
    }
    return sorted(found, key=len, reverse=True)


def _user_names() -> list[str]:
    try:
        found = {getpass.getuser(), os.environ.get("USER", ""), os.environ.get("LOGNAME", "")}
    except (KeyError, OSError, ImportError):  # a user without an entry, as in containers
        found = set()
    return sorted(_named(found), key=len, reverse=True)


def _host_names() -> list[str]:
    full = {socket.gethostname(), os.environ.get("HOSTNAME", "")}
    return sorted(_named({*full, *(name.partition(".")[0] for name in full)}), key=len, reverse=True)


def _named(names: set[str]) -> Iterator[str]:
    return (name for name in names if len(name) > 2 and name.lower() not in _NOBODY and not name.isdigit())
