"""Published candidates: from the hub, from a local folder, or out of a wheel of a package index."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate
from harness.candidates.checkpoint import Checkpoint, open_checkpoint
from harness.candidates.spec import WheelSpec
from harness.errors import HarnessError, UnavailableError
from harness.records.environment import installed_version
from harness.records.hashing import code_digest, file_digest

_HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]


def fetch(candidate: Candidate, store: ArtefactStore, offline: bool) -> Checkpoint:
    """The checkpoint of a published candidate.

    Raises UnavailableError where it cannot be had from here, HarnessError where it is damaged.
    """
    spec = candidate.spec
    if spec.path:
        return open_checkpoint(Path(spec.path).expanduser(), spec.family)
    if spec.hub:
        return open_checkpoint(_from_hub(spec.hub, offline), spec.family)
    if spec.wheel is None:
        raise HarnessError(f"candidate '{candidate.name}' names no source")
    return open_checkpoint(_from_wheel(candidate.name, spec.wheel, store, offline), spec.family)


def _from_hub(reference: str, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    repository, _, revision = reference.partition("@")
    try:
        return Path(
            snapshot_download(
                repository, revision=revision or None, allow_patterns=_HUB_FILES, local_files_only=offline
            )
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        where = "is not in the hub's cache (offline)" if offline else "cannot be had from the hub"
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise UnavailableError(f"{repository} {where}: {first}; or name a local folder with 'path'") from error


def _from_wheel(name: str, wheel: WheelSpec, store: ArtefactStore, offline: bool) -> Path:
    """Convert the GGUF file inside a wheel into an ordinary fp32 checkpoint, once."""
    if not wheel.file.endswith(".gguf"):
        raise HarnessError(f"candidate '{name}': expected a .gguf file in the wheel, not {wheel.file}")

    def download(folder: Path) -> None:
        if offline:
            raise UnavailableError(f"the wheel {wheel.requirement} is not in the cache (offline)")
        with tempfile.TemporaryDirectory() as scratch:
            _extract(_download(wheel.requirement, Path(scratch)), wheel, folder / "model.gguf")

    def convert(folder: Path) -> None:
        _dequantise(store.get("downloads", name, wheel.model_dump(), download).path / "model.gguf", folder)

    made_by = {
        "wheel": wheel.model_dump(),
        "code": code_digest("candidates"),
        "transformers": installed_version("transformers"),
    }
    return store.get("checkpoints", name, made_by, convert).path


def _download(requirement: str, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--quiet",
        "--dest",
        str(folder),
    ]
    try:
        subprocess.run([*command, requirement], capture_output=True, text=True, timeout=600, check=True)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"the wheel {requirement} did not arrive within 10 minutes") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UnavailableError(f"the wheel {requirement} cannot be had: {last}") from error
    return next(folder.glob("*.whl"))


def _extract(archive: Path, wheel: WheelSpec, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(wheel.file) as source, target.open("wb") as sink:
            while chunk := source.read(1 << 20):
                sink.write(chunk)
    except (KeyError, zipfile.BadZipFile) as error:
        raise HarnessError(f"no {wheel.file} in the wheel {wheel.requirement}") from error
    found = file_digest(target)
    if found != wheel.sha256:
        raise HarnessError(f"{wheel.file} of {wheel.requirement} has SHA-256 {found}, expected {wheel.sha256}")


def _dequantise(gguf: Path, folder: Path) -> None:
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, local_files_only=True
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
