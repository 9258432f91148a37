"""Published candidates: from the hub, from a local folder, or out of a wheel of a package index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from harness.candidates import hub
from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate
from harness.candidates.checkpoint import Checkpoint, open_checkpoint
from harness.candidates.spec import WheelSpec
from harness.errors import HarnessError, UnavailableError
from harness.records.environment import installed_version
from harness.records.hashing import code_digest, file_digest

MOST_UNPACKED = 20
"""Times its packed size that a file of a wheel may have; quantised weights are packed to nine tenths at best."""


def fetch(candidate: Candidate, store: ArtefactStore, offline: bool) -> Checkpoint:
    """The checkpoint of a published candidate.

    Raises UnavailableError where it cannot be had from here, HarnessError where it is damaged.
    """
    spec = candidate.spec
    if spec.path:
        return open_checkpoint(Path(spec.path).expanduser(), spec.family, spec.trust_remote_code)
    if spec.hub:
        folder = hub.checkpoint_folder(spec.hub, offline, spec.trust_remote_code)
        return open_checkpoint(folder, spec.family, spec.trust_remote_code)
    if spec.wheel is None:
        raise HarnessError(f"candidate '{candidate.name}' names no source")
    return open_checkpoint(_from_wheel(candidate.name, spec.wheel, store, offline), spec.family)


def warn_of_code(candidates: Iterable[Candidate]) -> None:
    """Say on stderr which candidates will run code of their own."""
    if named := [candidate.name for candidate in candidates if candidate.spec.trust_remote_code]:
        print(
            f"warning: {', '.join(named)} will run Python code that lies with the checkpoint, with all your rights "
            "(trust_remote_code)",
            file=sys.stderr,
        )


def _from_wheel(name: str, wheel: WheelSpec, store: ArtefactStore, offline: bool) -> Path:
    """Convert the GGUF file inside a wheel into an ordinary fp32 checkpoint, once, with the file itself beside it."""
    if not wheel.file.endswith(".gguf"):
        raise HarnessError(f"candidate '{name}': expected a .gguf file in the wheel, not {wheel.file}")

    def download(folder: Path) -> None:
        if offline:
            raise UnavailableError(f"the wheel {wheel.requirement} is not in the cache (offline)")
        with tempfile.TemporaryDirectory() as scratch:
            _extract(_download(wheel.requirement, Path(scratch)), wheel, folder / "model.gguf")

    def convert(folder: Path) -> None:
        gguf = store.get("downloads", name, wheel.model_dump(), download).path / "model.gguf"
        _dequantise(gguf, folder)
        link_or_copy(gguf, folder / "published.gguf")

    made_by = {
        "wheel": wheel.model_dump(),
        "code": code_digest("candidates"),
        "transformers": installed_version("transformers"),
    }
    return store.get("checkpoints", name, made_by, convert).path


def link_or_copy(source: Path, target: Path) -> None:
    """Let ``target`` be the file ``source``, which is never changed: as a second name for it where the disk allows."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


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
        subprocess.run([*command, "--", requirement], capture_output=True, text=True, timeout=600, check=True)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"the wheel {requirement} did not arrive within 10 minutes") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UnavailableError(f"the wheel {requirement} cannot be had: {last}") from error
    return next(folder.glob("*.whl"))


def _extract(archive: Path, wheel: WheelSpec, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            about = opened.getinfo(wheel.file)
            if about.file_size > MOST_UNPACKED * max(about.compress_size, 1):
                raise HarnessError(
                    f"{wheel.file} of {wheel.requirement} would unpack to {about.file_size:,} bytes, more than "
                    f"{MOST_UNPACKED} times its size; weights do not"
                )
            with opened.open(about) as source, target.open("wb") as sink:
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
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        gguf.parent, gguf_file=gguf.name, local_files_only=True, trust_remote_code=False
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder, legacy_format=False)  # else it copies the GGUF file as a SentencePiece model
