"""One storage for the artefacts of several machines: what is fetched, what is refused, and what a kill leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from harness.candidates.artefacts import Artefact, ArtefactStore, open_artefact
from harness.candidates.storage import Storage
from harness.errors import HarnessError
from harness.records import objects as module
from harness.records.hashing import file_digest
from harness.records.privacy import without_private

CONTENT = {"weights.bin": b"weights" * 1000, "more/tokens [a].txt": b"a b c", "same": b"a b c", "empty": b""}


OFFER = """
import sys
from pathlib import Path
from harness.candidates.artefacts import open_artefact
from harness.candidates.storage import Storage

storage, made = Storage.at(sys.argv[1]), open_artefact(Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
storage.offer(made, "kind")
"""


class Machine:
    """A cache folder of its own, and how often something was built on it."""

    def __init__(self, cache: Path, storage: Storage | None) -> None:
        self.store, self.builds = ArtefactStore(cache, storage), 0

    def get(self, label: str = "name [1]") -> Artefact:
        return self.store.get("kind", label, {"seed": 1}, self._build)

    def _build(self, folder: Path) -> None:
        self.builds += 1
        for name, content in CONTENT.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def blob_of(shared: Path, content: bytes) -> Path:
    (found,) = (path for path in (shared / "blobs").rglob("*") if path.is_file() and path.read_bytes() == content)
    return found


def manifest_of(shared: Path) -> Path:
    (found,) = (shared / "artefacts" / "kind").iterdir()
    return found


def test_what_one_machine_made_another_fetches(location: str, tmp_path: Path):
    first = Machine(tmp_path / "first", Storage.at(location))
    second = Machine(tmp_path / "second", Storage.at(location))
    made, fetched = first.get(), second.get()
    assert (first.builds, second.builds) == (1, 0)
    assert files_below(fetched.path) == files_below(made.path)
    assert fetched.path.name == made.path.name
    assert (second.store.damaged, fetched.hash) == ([], made.hash)


def test_without_a_storage_every_machine_builds(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("HARNESS_STORAGE", raising=False)
    first, second = Machine(tmp_path / "first", None), Machine(tmp_path / "second", None)
    first.get()
    second.get()
    assert (first.builds, second.builds) == (1, 1)


def test_a_variable_names_the_storage_where_none_is_given(shared: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HARNESS_STORAGE", str(shared))
    first, second = Machine(tmp_path / "first", None), Machine(tmp_path / "second", None)
    first.get()
    second.get()
    assert (first.builds, second.builds) == (1, 0)


def test_content_is_kept_once_under_its_hash(shared: Path, tmp_path: Path):
    machine = Machine(tmp_path / "cache", Storage.at(str(shared)))
    machine.get("name")
    machine.get("other")
    blobs = [path for path in (shared / "blobs").rglob("*") if path.is_file()]
    assert sorted(path.read_bytes() for path in blobs) == sorted(set(CONTENT.values()))
    assert all(path.name == file_digest(path) and path.parent.name == path.name[:2] for path in blobs)
    assert len(list((shared / "artefacts" / "kind").iterdir())) == 2


def test_what_was_made_before_there_was_a_storage_is_offered(shared: Path, tmp_path: Path):
    Machine(tmp_path / "first", None).get()
    again = Machine(tmp_path / "first", Storage.at(str(shared)))
    again.get()
    second = Machine(tmp_path / "second", Storage.at(str(shared)))
    second.get()
    assert (again.builds, second.builds) == (0, 0)


def test_an_artefact_that_is_damaged_here_is_fetched_again(location: str, tmp_path: Path, capfd):
    machine = Machine(tmp_path / "cache", Storage.at(location))
    made = machine.get()
    (made.path / "weights.bin").write_bytes(b"cut short")
    again = machine.get()
    assert open_artefact(again.path) == made
    assert machine.builds == 1
    assert machine.store.damaged == [made.path.name]
    assert f"artefact {made.path.name} is damaged" in capfd.readouterr().err


@pytest.mark.parametrize("damage", [b"weights", b"WEIGHTS" * 1000, None], ids=["cut short", "swapped", "gone"])
def test_a_damaged_blob_is_built_again_and_made_good(shared: Path, tmp_path: Path, capfd, damage: bytes | None):
    Machine(tmp_path / "first", Storage.at(str(shared))).get()
    sound = files_below(shared)
    blob = blob_of(shared, CONTENT["weights.bin"])
    blob.unlink() if damage is None else blob.write_bytes(damage)
    second, third = (Machine(tmp_path / each, Storage.at(str(shared))) for each in ("second", "third"))
    made = second.get()
    (line,) = capfd.readouterr().err.splitlines()
    assert f"artefact {made.path.name} is damaged or incomplete in the storage" in line
    assert (made.path / "weights.bin").read_bytes() == CONTENT["weights.bin"]
    third.get()
    assert (second.builds, third.builds) == (1, 0)
    assert files_below(shared) == sound


def test_a_damaged_blob_is_built_again_in_an_object_store_too(tmp_path: Path):
    location = f"memory://{uuid.uuid4().hex}"
    Machine(tmp_path / "first", Storage.at(location)).get()
    files = Storage.at(location).objects._files
    (blob,) = (path for path in files.find(location) if files.cat_file(path) == CONTENT["weights.bin"])
    files.pipe_file(blob, b"WEIGHTS" * 1000)
    second, third = (Machine(tmp_path / each, Storage.at(location)) for each in ("second", "third"))
    second.get()
    third.get()
    assert (second.builds, third.builds) == (1, 0)


def test_what_is_damaged_is_removed_for_the_machines_that_come_next(shared: Path, tmp_path: Path):
    made = Machine(tmp_path / "first", Storage.at(str(shared))).get()
    blob, manifest = blob_of(shared, CONTENT["weights.bin"]), manifest_of(shared)
    blob.write_bytes(b"WEIGHTS" * 1000)
    place = tmp_path / made.path.name
    assert not Storage.at(str(shared)).fetch("kind", place)
    assert (blob.exists(), manifest.exists(), place.exists()) == (False, False, False)
    assert len(files_below(shared)) == len(set(CONTENT.values())) - 1


def test_a_blob_of_another_size_is_written_over_by_an_offer(shared: Path, tmp_path: Path):
    machine = Machine(tmp_path / "first", Storage.at(str(shared)))
    machine.get()
    sound = files_below(shared)
    manifest_of(shared).unlink()
    blob_of(shared, CONTENT["weights.bin"]).write_bytes(b"wei")
    machine.get()
    assert files_below(shared) == sound


def test_what_is_damaged_and_cannot_be_removed_is_written_over(shared: Path, tmp_path: Path, monkeypatch):
    Machine(tmp_path / "first", Storage.at(str(shared))).get()
    sound = files_below(shared)
    blob_of(shared, CONTENT["weights.bin"]).write_bytes(b"WEIGHTS" * 1000)
    second = Machine(tmp_path / "second", Storage.at(str(shared)))

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patched:
        patched.setattr(type(second.store.storage.objects._files), "rm_file", lambda files, path: refuse(path))
        second.get()
    assert files_below(shared) == sound


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"files": ["a"]}', '{"files": {"a": "../../secret"}}', '{"files": {"a": 1}}', "[" * 9999],
)
def test_a_manifest_that_is_none_is_replaced(shared: Path, tmp_path: Path, text: str):
    Machine(tmp_path / "first", Storage.at(str(shared))).get()
    manifest = manifest_of(shared)
    sound = manifest.read_text()
    manifest.write_text(text)
    second = Machine(tmp_path / "second", Storage.at(str(shared)))
    second.get()
    assert second.builds == 1
    assert manifest.read_text() == sound


def test_an_upload_that_was_killed_is_no_artefact(shared: Path, tmp_path: Path):
    first = Machine(tmp_path / "first", Storage.at(str(shared)))
    first.get()
    sound = files_below(shared)
    manifest_of(shared).unlink()
    blob = blob_of(shared, CONTENT["weights.bin"])
    blob.rename(blob.with_name(".0123.part"))
    blob.with_name(".0123.part").write_bytes(b"weig")
    second, third = (Machine(tmp_path / each, Storage.at(str(shared))) for each in ("second", "third"))
    second.get()
    third.get()
    assert (second.builds, third.builds) == (1, 0)
    left = {str(blob.with_name(".0123.part").relative_to(shared)): b"weig"}
    assert files_below(shared) == sound | left


def test_what_killed_uploads_left_is_removed_after_a_month(shared: Path, tmp_path: Path):
    Machine(tmp_path / "cache", Storage.at(str(shared))).get("name")
    old, recent = ((shared / "artefacts" / "kind" / f".{name}.part") for name in ("old", "recent"))
    for left, days in ((old, 31), (recent, 29)):
        left.write_bytes(b"half")
        then = left.stat().st_mtime - days * 86_400
        os.utime(left, (then, then))
    Machine(tmp_path / "cache", Storage.at(str(shared))).get("other")
    assert (old.exists(), recent.exists()) == (False, True)


@pytest.mark.parametrize("seconds", [0.01, 0.03, 0.06, 0.1])
def test_an_offer_that_is_killed_leaves_nothing_half_there(shared: Path, tmp_path: Path, seconds: float):
    def build(folder: Path) -> None:
        for number in range(10):
            (folder / f"{number}.bin").write_bytes(bytes([number]) * 2**23)

    made = ArtefactStore(tmp_path / "first").get("kind", "large", {}, build)
    offering = subprocess.Popen(
        [sys.executable, "-c", OFFER, str(shared), str(made.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert offering.stdout.readline() == b"ready\n"
    offering.stdin.write(b"go\n")
    offering.stdin.flush()
    time.sleep(seconds)
    offering.kill()
    offering.wait(timeout=60)
    blobs = [path for path in shared.rglob("*") if path.is_file() and path.suffix != ".part"]
    assert all(path.stat().st_size == 2**23 and file_digest(path) == path.name for path in blobs if not path.suffix)
    assert len(blobs) == 11 or not any(path.suffix for path in blobs)
    Storage.at(str(shared)).offer(made, "kind")
    assert Storage.at(str(shared)).fetch("kind", tmp_path / made.path.name)


class Killed(BaseException):
    """What a signal raises in the middle of anything."""


def test_an_upload_that_is_interrupted_puts_nothing_there(location: str, tmp_path: Path, monkeypatch):
    made = Machine(tmp_path / "first", None).get()
    storage = Storage.at(location)

    def tear(source: Path | str, target: object, *rest: object, **named: object) -> None:
        if hasattr(target, "write"):
            target.write(b"wei")
        else:
            storage.objects._files.pipe_file(target, b"wei")
        raise Killed

    monkeypatch.setattr(module.shutil, "copyfileobj", tear)
    if not storage.objects._is_local:
        monkeypatch.setattr(storage.objects._files, "put_file", tear)
    with pytest.raises(Killed):
        storage.offer(made, "kind")
    monkeypatch.undo()
    assert storage.objects._files.find(storage.objects._root) == []


def test_the_manifest_is_written_when_all_blobs_are_there(shared: Path, tmp_path: Path, monkeypatch):
    made, storage, written = Machine(tmp_path / "first", None).get(), Storage.at(str(shared)), []
    put = storage._put
    monkeypatch.setattr(storage, "_put", lambda source, name: (written.append(name), put(source, name)))
    storage.offer(made, "kind")
    assert [name.partition("/")[0] for name in written] == ["blobs"] * 3 + ["artefacts"]


def test_a_fetch_that_was_killed_is_cleared_by_the_next(shared: Path, tmp_path: Path):
    made = Machine(tmp_path / "first", Storage.at(str(shared))).get()
    left = tmp_path / "second" / "kind" / f".{made.path.name}-abcdefgh"
    left.mkdir(parents=True)
    second = Machine(tmp_path / "second", Storage.at(str(shared)))
    second.get()
    assert second.builds == 0
    assert not left.exists()


NAMES = [
    "../x",
    "a/../../x",
    "/tmp/x",
    "",
    "a//x",
    "./x",
    "a\\x",
    "..\\x",
    "C:x",
    "a\nx",
    "\ud800",
    "a\0x",
    "artefact.json",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_that_names_files_elsewhere_is_refused(shared: Path, tmp_path: Path, name: str):
    Machine(tmp_path / "first", Storage.at(str(shared))).get()
    manifest = json.loads(manifest_of(shared).read_text())
    manifest["files"][name] = manifest["files"]["weights.bin"]
    manifest_of(shared).write_text(json.dumps(manifest))
    second = Machine(tmp_path / "second", Storage.at(str(shared)))
    before = files_below(tmp_path)
    with pytest.raises(HarnessError, match="names a file that no artefact may have") as refused:
        second.get()
    assert len(str(refused.value).splitlines()) == 1
    assert {path for path in files_below(tmp_path) if not path.endswith(".lock")} == {
        path for path in before if not path.endswith(".lock")
    }
    assert second.builds == 0


def test_a_manifest_with_a_file_that_is_a_folder_too_is_refused(shared: Path, tmp_path: Path):
    Machine(tmp_path / "first", Storage.at(str(shared))).get()
    manifest = json.loads(manifest_of(shared).read_text())
    manifest["files"]["weights.bin/x"] = manifest["files"]["weights.bin"]
    manifest_of(shared).write_text(json.dumps(manifest))
    with pytest.raises(HarnessError, match=r"weights\.bin/x"):
        Machine(tmp_path / "second", Storage.at(str(shared))).get()


def test_machines_that_offer_the_same_at_once_leave_one_whole_artefact(shared: Path, tmp_path: Path):
    made = Machine(tmp_path / "first", None).get()
    command = [sys.executable, "-c", OFFER, str(shared), str(made.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    offering = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in offering:
        assert process.stdout.readline() == "ready\n"
    for process in offering:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in offering] == ["", "", ""]
    second = Machine(tmp_path / "second", Storage.at(str(shared)))
    assert files_below(second.get().path) == files_below(made.path)
    assert second.builds == 0
    assert len(files_below(shared)) == len(set(CONTENT.values())) + 1


def test_the_first_of_two_artefacts_of_one_name_stays(shared: Path, tmp_path: Path, monkeypatch):
    first = Machine(tmp_path / "first", Storage.at(str(shared)))
    first.get()
    other = Machine(tmp_path / "second", None)
    monkeypatch.setitem(CONTENT, "weights.bin", b"as another machine computes them")
    Storage.at(str(shared)).offer(other.get(), "kind")
    third = Machine(tmp_path / "third", Storage.at(str(shared)))
    assert third.get().hash == first.get().hash


def test_a_storage_that_is_lost_holds_no_work_up(shared: Path, tmp_path: Path, capfd):
    machine = Machine(tmp_path / "cache", Storage.at(str(shared)))
    shared.write_text("a file where the folder was")
    made = machine.get()
    assert machine.builds == 1
    assert open_artefact(made.path) == made
    lines = capfd.readouterr().err.splitlines()
    assert [line.rpartition("; ")[2] for line in lines] == [
        f"artefact {made.path.name} is not fetched",
        f"artefact {made.path.name} stays on this machine",
    ]
    told = f"cannot use the storage {without_private(str(shared))}: a file is where a folder should be; "
    assert all(line.startswith(told) for line in lines)


def test_a_disk_that_is_full_here_is_told_as_such(shared: Path, tmp_path: Path, monkeypatch):
    Machine(tmp_path / "first", Storage.at(str(shared))).get()
    second = Machine(tmp_path / "second", Storage.at(str(shared)))

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(second.store.storage.objects._files, "get_file", full)
    with pytest.raises(HarnessError, match=r"no space left for artefacts in .*second"):
        second.get()
