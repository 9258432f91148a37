"""Two revisions beside each other, in real git repositories."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from builders import git, git_repository

from harness.ab.checkouts import Checkout, base_checkout, set_up, top_folder, working_tree
from harness.ab.driver import AbRequest, _checkouts
from harness.errors import HarnessError


def worktrees(repository: Path) -> list[str]:
    """The folders of all worktrees that git knows of."""
    lines = git(repository, "worktree", "list", "--porcelain").splitlines()
    return [line.removeprefix("worktree ") for line in lines if line.startswith("worktree ")]


def request(project: Path, base: str = "HEAD~1", setup: str = "") -> AbRequest:
    return AbRequest(
        base, project, "smoke", (), (), (), (), {}, 1.0, setup, True, project / "runs", project / "cache", "harness ab"
    )  # fmt: skip


# revisions


def test_the_base_has_the_files_of_its_revision(repository):
    with base_checkout(repository, "HEAD~1") as base:
        assert (base.folder / "engine.py").read_text() == "SPEED = 1\n"
        assert base.revision == git(repository, "rev-parse", "HEAD~1")[:12]
    assert (repository / "engine.py").read_text() == "SPEED = 2\n"


def test_the_base_folder_has_the_name_of_the_project(repository):
    with base_checkout(repository, "HEAD") as base:
        assert base.folder.name == "project"


@pytest.mark.parametrize("name", ["main", "v1"])
def test_branches_and_annotated_tags_are_revisions(repository, name):
    git(repository, "tag", "--annotate", "v1", "--message", "one")
    with base_checkout(repository, name) as base:
        assert base.revision == git(repository, "rev-parse", "HEAD")[:12]


@pytest.mark.parametrize("revision", ["no-such-branch", "", "HEAD~9", "--all", "HEAD:engine.py"])
def test_an_unknown_revision_is_named(repository, revision):
    with (
        pytest.raises(HarnessError, match=f"'{revision}' is no revision of the project in"),
        base_checkout(repository, revision),
    ):
        raise AssertionError("it is not entered")
    assert worktrees(repository) == [str(repository)]


@pytest.mark.parametrize("ask", [top_folder, working_tree])
def test_a_folder_outside_of_git_is_refused(tmp_path, ask):
    with pytest.raises(HarnessError, match="not a git repository"):
        ask(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(HarnessError, match="No such file or directory"):
        top_folder(tmp_path / "nowhere")


def test_a_machine_without_git_is_told_apart(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(HarnessError, match="git cannot be run: No such file"):
        top_folder(repository)


# the working tree


def test_a_clean_working_tree_is_named_by_its_commit(repository):
    assert working_tree(repository) == Checkout(git(repository, "rev-parse", "HEAD")[:12], repository)


def test_uncommitted_changes_are_named(repository):
    (repository / "engine.py").write_text("SPEED = 3\n")
    assert working_tree(repository).revision.endswith(" with uncommitted changes")


def test_a_folder_of_runs_is_no_change(repository):
    (repository / "runs").mkdir()
    (repository / "runs" / "report.md").write_text("fine\n")
    assert not working_tree(repository).revision.endswith(" with uncommitted changes")


# the worktree goes away


def test_the_worktree_is_removed(repository):
    with base_checkout(repository, "HEAD~1") as base:
        assert worktrees(repository) == [str(repository), str(base.folder)]
    assert worktrees(repository) == [str(repository)]
    assert not base.folder.parent.exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_worktree_is_removed_after_an_exception(repository, error):
    folders = []

    def work():
        with base_checkout(repository, "HEAD~1") as base:
            folders.append(base.folder)
            (base.folder / "engine.py").write_text("changed")
            (base.folder / "new file").write_text("untracked")
            raise error

    with pytest.raises(error):
        work()
    assert worktrees(repository) == [str(repository)]
    assert not folders[0].parent.exists()


def test_the_base_may_be_checked_out_already(repository):
    with base_checkout(repository, "main"), base_checkout(repository, "main"):
        assert len(worktrees(repository)) == 3
    assert worktrees(repository) == [str(repository)]


# where a project lies in its repository


@pytest.fixture
def nested(tmp_path):
    """A repository whose project is in a folder below its top, made in the second commit."""
    folder = tmp_path / "repository"
    below = {"models/mine/src/engine.py": "SPEED = 1\n"}
    git_repository(folder, {"README": "hello\n"}, below, {"models/mine/src/engine.py": "SPEED = 2\n"})
    return folder


def test_a_project_in_a_subfolder_is_found_in_both_revisions(nested):
    with ExitStack() as stack:
        found = _checkouts(request(nested / "models" / "mine"), stack)
        texts = {name: (each.folder / "src" / "engine.py").read_text() for name, each in found.items()}
        assert texts == {"base": "SPEED = 1\n", "new": "SPEED = 2\n"}
        assert found["new"].folder == nested / "models" / "mine"
    assert worktrees(nested) == [str(nested)]


def test_a_project_reached_by_a_link_is_found(nested, tmp_path):
    (tmp_path / "link").symlink_to(nested / "models" / "mine")
    with ExitStack() as stack:
        assert _checkouts(request(tmp_path / "link"), stack)["new"].folder == nested / "models" / "mine"


def test_a_project_that_base_does_not_have_is_refused(nested):
    with ExitStack() as stack, pytest.raises(HarnessError, match=r"^base \(.{12}\) has no folder models/mine$"):
        _checkouts(request(nested / "models" / "mine", "HEAD~2"), stack)
    assert worktrees(nested) == [str(nested)]


# imports and setup


def test_packages_come_from_the_checkout(repository):
    assert working_tree(repository).import_path == [str(repository)]


def test_a_src_layout_is_on_the_import_path(nested):
    project = nested / "models" / "mine"
    assert Checkout("abc", project).import_path == [str(project), str(project / "src")]


def test_without_a_setup_nothing_is_done(repository):
    checkout = working_tree(repository)
    assert set_up(checkout, "") is checkout
    assert checkout.python == Path(sys.executable)


def test_the_setup_runs_in_the_checkout(repository):
    with base_checkout(repository, "HEAD~1") as base:
        assert set_up(base, "grep 'SPEED = 1' engine.py && touch seen") == base
        assert (base.folder / "seen").exists()
    assert not (repository / "seen").exists()


def test_a_venv_that_the_setup_makes_runs_the_checkout(repository):
    making = f"mkdir -p .venv/bin && ln -s {sys.executable} .venv/bin/python"
    found = set_up(working_tree(repository), making)
    assert found.python == repository / ".venv" / "bin" / "python"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("sh -c 'echo one; echo two >&2; echo three >&2; exit 3'", "three"),
        ("true && sh -c 'echo only this; exit 1' && touch never", "only this"),
        ("sh -c 'exit 7'", "7"),
        ("no-such-program --quick", "no-such-program: No such file or directory"),
    ],
)
def test_a_setup_that_fails_says_its_last_line(repository, command, reason):
    checkout = working_tree(repository)
    with pytest.raises(HarnessError) as error:
        set_up(checkout, command)
    assert str(error.value) == f"--setup failed at {checkout.revision}: {reason}"


def test_a_setup_that_fails_leaves_no_worktree(repository):
    with pytest.raises(HarnessError, match="--setup failed"), ExitStack() as stack:
        _checkouts(request(repository, setup="false"), stack)
    assert worktrees(repository) == [str(repository)]
