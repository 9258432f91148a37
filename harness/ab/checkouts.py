"""Two revisions of a project beside each other: the working tree, and a git worktree of the base."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError


@dataclass(frozen=True)
class Checkout:
    """A folder with one revision of a project, and the Python that runs it."""

    revision: str
    folder: Path
    python: Path = Path(sys.executable)

    @property
    def import_path(self) -> list[str]:
        """Where the revision's own packages are imported from, ahead of installed ones."""
        source = self.folder / "src"
        return [str(self.folder), *([str(source)] if source.is_dir() else [])]


def top_folder(project: Path) -> Path:
    """The top of the git checkout that a folder lies in. Raises HarnessError where there is none."""
    return Path(_git(project, "rev-parse", "--show-toplevel").strip())


def working_tree(project: Path) -> Checkout:
    """The checkout as it stands, uncommitted changes included."""
    commit = _git(project, "rev-parse", "--short=12", "HEAD").strip()
    changed = _git(project, "status", "--porcelain", "--untracked-files=no").strip()
    return Checkout(f"{commit} with uncommitted changes" if changed else commit, project)


@contextmanager
def base_checkout(project: Path, revision: str) -> Iterator[Checkout]:
    """The revision in a git worktree of its own, which is removed again. Raises HarnessError for an unknown one."""
    try:
        if revision.startswith("-"):
            raise HarnessError("git would take it for an option")
        commit = _git(project, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    except HarnessError:
        raise HarnessError(f"'{revision}' is no revision of the project in {project}") from None
    with tempfile.TemporaryDirectory(prefix="harness-base-") as scratch:
        folder = Path(scratch) / project.name
        _git(project, "worktree", "add", "--detach", "--quiet", str(folder), commit)
        try:
            yield Checkout(commit[:12], folder)
        finally:
            with suppress(HarnessError):  # must not hide what went wrong inside
                _git(project, "worktree", "remove", "--force", str(folder))


def set_up(checkout: Checkout, command: str) -> Checkout:
    """Run commands of the user's, joined by ``&&``, in a checkout; where they leave ``.venv``, that Python runs the
    checkout from then on.

    Raises HarnessError with the last line that a command printed when it fails.
    """
    for words in setup_commands(command):
        try:
            finished = subprocess.run(words, cwd=checkout.folder, capture_output=True, text=True, check=False)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise HarnessError(f"--setup failed at {checkout.revision}: {words[0]}: {reason}") from error
        if finished.returncode:
            lines = (finished.stderr.strip() or finished.stdout.strip()).splitlines()
            raise HarnessError(f"--setup failed at {checkout.revision}: {lines[-1] if lines else finished.returncode}")
    python = checkout.folder / ".venv" / "bin" / "python"
    return Checkout(checkout.revision, checkout.folder, python) if python.exists() else checkout


def setup_commands(text: str) -> list[list[str]]:
    """The commands of ``one && other``, each as its words; they are run as they stand, not by a shell.

    Raises HarnessError for what only a shell can do.
    """
    reader = shlex.shlex(text, posix=True, punctuation_chars=True)
    reader.whitespace_split, reader.commenters = True, ""
    commands: list[list[str]] = [[]]
    try:
        for word in reader:
            if word == "&&":
                commands.append([])
            elif word and set(word) <= set("();<>|&"):
                raise HarnessError(f"--setup: '{word}' needs a shell, which is not used: write a script and name it")
            else:
                commands[-1].append(word)
    except ValueError as error:
        raise HarnessError(f"--setup: {str(error).lower()}") from None
    if commands == [[]]:
        return []
    if not all(commands):
        raise HarnessError("--setup: expected a command before and after each '&&'")
    return commands


def _git(folder: Path, *words: str) -> str:
    command: Sequence[str] = ["git", "-C", str(folder), *words]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise HarnessError(f"git cannot be run: {error.strerror or error}") from error
    if finished.returncode:
        lines = finished.stderr.strip().splitlines()
        raise HarnessError(f"git {words[0]}: {lines[-1] if lines else finished.returncode}")
    return finished.stdout
