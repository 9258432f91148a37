from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.reporting.docs.files import difference, read_files, write_files

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and pipes of POSIX")


def rewrite(path: Path, text: str) -> None:
    (file,) = read_files([path])
    write_files([(file, text)])


@pytest.mark.parametrize(
    "content",
    [b"a\r\nb\n\r", b"\xef\xbb\xbfa\n", b"", b"no end", "é\u2028\x00\x0c".encode(), b"\xef\xbb\xbf\xef\xbb\xbf"],
)
def test_a_file_that_is_written_as_it_was_read_keeps_every_byte(tmp_path, content):
    path = tmp_path / "a.md"
    path.write_bytes(content)
    (file,) = read_files([path])
    path.write_bytes(b"something else")
    write_files([(file, file.text)])
    assert path.read_bytes() == content


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "a.md"
    path.write_bytes(b"\xef\xbb\xbfold")
    (file,) = read_files([path])
    assert file.text == "old"
    write_files([(file, "new")])
    assert path.read_bytes() == b"\xef\xbb\xbfnew"


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_permissions_are_kept(tmp_path, mode):
    path = tmp_path / "a.md"
    path.write_text("old")
    path.chmod(mode)
    rewrite(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


def test_a_link_stays_and_the_file_that_it_leads_to_is_written(tmp_path):
    target, link = tmp_path / "there" / "a.md", tmp_path / "link.md"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    rewrite(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.md", "link.md", "there"]


def test_what_stands_in_a_linked_file_is_relative_to_the_file(tmp_path):
    target, link = tmp_path / "there" / "a.md", tmp_path / "link.md"
    target.parent.mkdir()
    target.write_text("text")
    link.symlink_to(target)
    assert read_files([link])[0].folder == target.parent
    assert read_files([target])[0].folder == target.parent


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    path, link = tmp_path / "a.md", tmp_path / "link.md"
    path.write_text("text")
    link.symlink_to(path)
    assert [file.named for file in read_files([path, link, tmp_path / "." / "a.md"])] == [str(path)]


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(HarnessError, match=r"cannot read .*missing\.md: No such file"):
        read_files([tmp_path / "missing.md"])
    with pytest.raises(HarnessError, match="is not a file"):
        read_files([tmp_path])
    (tmp_path / "loop.md").symlink_to("loop.md")
    with pytest.raises(HarnessError, match=r"cannot read .*loop\.md"):
        read_files([tmp_path / "loop.md"])
    with pytest.raises(HarnessError, match="cannot read"):
        read_files([Path("a\0b")])


@posix
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.md")
    with pytest.raises(HarnessError, match="is not a file"):
        read_files([tmp_path / "pipe.md"])
    with pytest.raises(HarnessError, match="is not a file"):
        read_files([Path("/dev/zero")])


@pytest.mark.parametrize("content", ["é".encode("latin-1"), "a".encode("utf-16"), b"\xed\xa0\x80"])
def test_text_that_is_not_utf_8_is_refused(tmp_path, content):
    (tmp_path / "a.md").write_bytes(content)
    with pytest.raises(HarnessError, match=r"a\.md is not UTF-8: .* at byte 0"):
        read_files([tmp_path / "a.md"])


def test_a_disk_that_takes_the_first_file_only_changes_none(tmp_path):
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("old")
    code = """
import resource, signal, sys
from pathlib import Path
from harness.errors import HarnessError
from harness.reporting.docs.files import read_files, write_files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
first, second = read_files([Path("a.md"), Path("b.md")])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_files([(first, "new"), (second, "new" * 100)])
except HarnessError as error:
    print(error)
"""
    finished = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert finished.stdout == "cannot write b.md: File too large\n"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.md": "old", "b.md": "old"}


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o555, 0o644), (0o755, 0o444)])
def test_what_may_only_be_read_is_left_as_it_is(tmp_path, folder_mode, file_mode):
    path = tmp_path / "folder" / "a.md"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(file_mode)
    path.parent.chmod(folder_mode)
    try:
        with pytest.raises(HarnessError, match=r"cannot write .*a\.md"):
            rewrite(path, "new")
    finally:
        path.parent.chmod(0o755)
    assert [each.name for each in path.parent.iterdir()] == ["a.md"]
    assert path.read_text() == "old"


def test_a_difference_names_the_file_and_the_lines(tmp_path):
    path = tmp_path / "a.md"
    path.write_bytes(b"one\r\ntwo\r\nthree")
    (file,) = read_files([path])
    assert difference(file, "one\r\nTWO\r\nthree").splitlines() == [
        f"--- {path}",
        f"+++ {path}",
        "@@ -1,3 +1,3 @@",
        " one",
        "-two",
        "+TWO",
        " three",
        "\\ No newline at end of file",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_difference_of_a_file_whose_name_is_not_unicode_can_be_printed(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.md")
    path.write_text("old")
    (file,) = read_files([path])
    assert "\ufffd.md" in difference(file, "new").encode("utf-8").decode("utf-8")
