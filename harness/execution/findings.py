"""What ``harness doctor`` finds: one line each, with a status and an advice; and how it reads Linux's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing about a machine. ``advice`` says in words what to do about it; empty where there is nothing to do."""

    part: str
    name: str
    status: Status
    found: str
    advice: str = ""


class SystemFiles:
    """The files of ``/proc`` and ``/sys`` below a root; what cannot be read is None, never an error."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def text(self, path: str) -> str | None:
        """The whole file, without white space at its ends."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """The number that the file holds."""
        return whole_number(self.text(path))

    def fields(self, path: str, separator: str | None = None) -> dict[str, str]:
        """A file of ``key value`` or ``key: value`` lines; of a key that comes again, the first."""
        found: dict[str, str] = {}
        for line in (self.text(path) or "").splitlines():
            key, *rest = line.split(separator, 1)
            found.setdefault(key.strip(), rest[0].strip() if rest else "")
        return found

    def cgroup(self, controller: str, name: str) -> str | None:
        """A file of this process's control group, of version 2 or, by its ``controller``, of version 1.

        The group's own file where it is visible, else that of the top, which in a container is the container's own.
        """
        own = {}
        for line in (self.text("proc/self/cgroup") or "").splitlines():
            _, controllers, path = (*line.split(":", 2), "", "")[:3]
            own.update(dict.fromkeys(controllers.split(","), path.strip("/")))
        top = Path("sys/fs/cgroup")
        for folder in (top / own.get("", ""), top, top / controller / own.get(controller, ""), top / controller):
            if (text := self.text(str(folder / name))) is not None:
                return text
        return None


def whole_number(text: str | None) -> int | None:
    """The number that a text starts with, as in ``1024 kB``; None where there is none."""
    word = (text or "").split()[:1]
    return int(word[0]) if word and word[0].lstrip("-").isdigit() else None


def cpu_list(text: str | None) -> set[int]:
    """The CPUs that Linux writes as ``0-3,8``."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit():
            found.update(range(int(first), int(last if last.isdigit() else first) + 1))
    return found
