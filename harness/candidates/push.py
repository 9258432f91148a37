"""Uploads a checkpoint folder to the Hugging Face hub, or to what HF_ENDPOINT names."""

from __future__ import annotations

from pathlib import Path

from harness.candidates.artefacts import MANIFEST
from harness.candidates.hub import MISUNDERSTOOD
from harness.errors import HarnessError


def check_push(repository: str) -> None:
    """Raises HarnessError where an upload could not begin: a name that is none, or no token."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise HarnessError(f"--push-to {repository}: {str(error).splitlines()[0]}") from None
    if constants.HF_HUB_OFFLINE:
        raise HarnessError(f"--push-to {repository}: HF_HUB_OFFLINE forbids the network")
    if not get_token():
        raise HarnessError(f"--push-to {repository}: no token; set HF_TOKEN or log in with: hf auth login")


def push(folder: Path, repository: str, private: bool) -> str:
    """Upload the files of a checkpoint as one commit, into a repository that is made where it is absent; its address.

    Raises HarnessError where the hub refuses or the connection breaks; the folder stays as it is.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=address.repo_id,
            folder_path=folder,
            ignore_patterns=[MANIFEST],
            commit_message="Upload the checkpoint",
        )
    except MISUNDERSTOOD as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise HarnessError(
            f"the upload to {repository} did not end: {first}; nothing is lost: the checkpoint is in {folder}; again: "
            f"hf upload {repository} {folder}"
        ) from error
    return str(address)
