"""Two revisions of a project beside each other: the working tree, and a git worktree of the base."""

from __future__ import annotations

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
    """Run a command of the user's in a checkout; where it leaves ``.venv``, that Python runs the checkout from then on.

    Raises HarnessError with the last line that the command printed when it fails.
    """
    if not command:
        return checkout
    finished = subprocess.run(command, shell=True, cwd=checkout.folder, capture_output=True, text=True, check=False)  # noqa: S602 - the user's own
    if finished.returncode:
        lines = (finished.stderr.strip() or finished.stdout.strip()).splitlines()
        raise HarnessError(f"--setup failed at {checkout.revision}: {lines[-1] if lines else finished.returncode}")
    python = checkout.folder / ".venv" / "bin" / "python"
    return Checkout(checkout.revision, checkout.folder, python) if python.exists() else checkout


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
