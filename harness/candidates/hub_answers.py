"""What a hub may answer. Its library makes paths in the cache of names in answers (the ETag of a file, the commit, the
files of a repository) and checks but some of them, so a hub that lies could have it write anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import requests

_ETAGS = ("ETag", "X-Linked-Etag")
_ETAG = re.compile(r'(W/)?"?[A-Za-z0-9][A-Za-z0-9._-]{0,127}"?')
_COMMITS = ("X-Repo-Commit",)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class OddAnswerError(OSError):
    """A hub named a file by what is no name."""


@contextmanager
def answers_checked() -> Iterator[None]:
    """Inside the block the hub's library sees no answer with a name in it that would lead out of its cache: it raises
    OddAnswerError instead."""
    from huggingface_hub import configure_http_backend

    configure_http_backend(_session)
    try:
        yield
    finally:
        configure_http_backend()


def _session() -> requests.Session:
    session = requests.Session()
    session.hooks["response"].append(_check)
    return session


def _check(response: requests.Response, **_: Any) -> None:
    for names, form in ((_ETAGS, _ETAG), (_COMMITS, _COMMIT)):
        for name in names:
            if (value := response.headers.get(name)) and not form.fullmatch(value):
                raise OddAnswerError(f"the hub answered with {name} {value[:60]!r}")
    if "/api/models/" in response.url and response.ok and response.request.method == "GET":
        try:
            found = response.json()
        except (ValueError, RecursionError) as error:
            raise OddAnswerError("the hub answered with what is no JSON") from error
        for each in found if isinstance(found, list) else [found]:
            _check_description(each)


def _check_description(found: Any) -> None:
    """Of a repository: its commit and the names of its files."""
    if not isinstance(found, dict):
        raise OddAnswerError("the hub answered with no description of the repository")
    if (commit := found.get("sha")) is not None and not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
        raise OddAnswerError(f"the hub answered with the commit {str(commit)[:60]!r}")
    siblings = found.get("siblings")
    for each in siblings if isinstance(siblings, list) else []:
        name = each.get("rfilename") if isinstance(each, dict) else None
        if not isinstance(name, str) or _leads_out(name):
            raise OddAnswerError(f"the hub answered with a file named {str(name)[:60]!r}")


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable()
