"""The Hugging Face hub: whether it answers, what its cache holds, and the checkpoint of a repository."""

from __future__ import annotations

import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from harness.errors import UnavailableError

_FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]
_FOLDERS = ["*/*"]
"""Exports for other runtimes, which are not taken."""
MISUNDERSTOOD = (OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError, RuntimeError)
"""What the hub's library raises: errors of its own and of the network are OSErrors, the rest comes of odd answers."""
_PROBE_SECONDS = 5.0


def answers() -> bool:
    """Whether the hub can be reached, found out within seconds: its own libraries try again for minutes.

    Imports none of them, for they read once, when they are imported, whether the network may be used.
    """
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=_PROBE_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # the libraries may know the certificate that is asked for
    except (OSError, ValueError):
        return False


def cached(reference: str) -> Path | None:
    """The folder of a repository, ``NAME`` or ``NAME@REVISION``, in the hub's cache; None where its configuration or
    its weights are not there."""
    from huggingface_hub import snapshot_download

    repository, _, revision = reference.partition("@")
    try:
        folder = Path(snapshot_download(repository, revision=revision or None, local_files_only=True))
    except (OSError, ValueError):
        return None
    whole = (folder / "config.json").exists() and any(folder.glob("*.safetensors"))
    return folder if whole else None


def checkpoint_folder(reference: str, offline: bool, with_code: bool = False) -> Path:
    """The folder of a repository's checkpoint, from the cache when ``offline``, else brought up to date.

    Python code is fetched only ``with_code``; nothing is run here.

    Raises UnavailableError where it cannot be had.
    """
    remedy = "a local folder can stand in for it: --local NAME=FOLDER, or 'path' in a suite"
    if offline:
        if (folder := cached(reference)) is None:
            raise UnavailableError(f"{reference} is not in the hub's cache (offline); {remedy}")
        return folder
    from huggingface_hub import snapshot_download

    from harness.candidates.hub_answers import answers_checked

    repository, _, revision = reference.partition("@")
    wanted = [*_FILES, *(["*.py"] if with_code else [])]
    try:
        with answers_checked():
            downloaded = snapshot_download(
                repository, revision=revision or None, allow_patterns=wanted, ignore_patterns=_FOLDERS
            )
        return Path(downloaded)
    except MISUNDERSTOOD as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnavailableError(f"{reference} cannot be had from the hub: {first}; {remedy}") from error
