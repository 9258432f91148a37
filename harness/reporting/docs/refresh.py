"""From a file with markers to the text that it should hold, and what is to be said of each of its blocks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.errors import HarnessError
from harness.records.damage import DAMAGE
from harness.reporting.docs.files import MarkdownFile
from harness.reporting.docs.markers import Block, checksum, filled, find_blocks
from harness.reporting.docs.request import read_request
from harness.reporting.docs.sources import Sources
from harness.reporting.docs.tables import table_markdown

State = Literal["fresh", "stale", "edited"]
_WORDS = {"fresh": "is as it should be", "stale": "is stale", "edited": "was edited by hand"}


@dataclass(frozen=True)
class Refreshed:
    """A file, the text that it should hold, and the state of each of its blocks."""

    file: MarkdownFile
    text: str
    states: tuple[tuple[Block, State], ...]

    @property
    def changed(self) -> bool:
        """Whether anything is to be written."""
        return self.text != self.file.text

    def not_fresh(self) -> list[str]:
        """A sentence on each block that is not as it should be."""
        return [
            f"{self.file.named}:{block.line}: table '{block.name}' {_WORDS[state]}"
            for block, state in self.states
            if state != "fresh"
        ]


def refreshed(file: MarkdownFile, sources: Sources) -> Refreshed:
    """What a file should hold. Raises HarnessError, with file and line, for whatever a marker gets wrong, for runs that
    cannot be read, and for a file without markers."""
    blocks = find_blocks(file.text, file.named)
    if not blocks:
        example = "<!-- harness:table name=some-name run=PATH table=comparison -->"
        raise HarnessError(f"{file.named} has no table to make; one begins with {example}; see docs/docs-tables.md")
    contents = {block.name: _content(file, block, sources) for block in blocks}
    states = tuple((block, _state(block, contents[block.name])) for block in blocks)
    text = filled(file.text, blocks, {block.name: contents[block.name] for block, state in states if state != "fresh"})
    _refuse_what_would_not_stay(file, text, contents)
    return Refreshed(file, text, states)


def refuse_edited(found: Refreshed) -> None:
    """Raise HarnessError for the first block that was edited by hand."""
    for block, state in found.states:
        if state == "edited":
            raise HarnessError(
                f"{found.file.named}:{block.line}: table '{block.name}' was edited by hand; "
                "--check shows what would change, --force changes it"
            )


def _state(block: Block, content: str) -> State:
    """A block that holds what it should is not edited, whatever its checksum says: nothing can be lost in it."""
    if block.holds(content):
        return "fresh" if block.checksum == checksum(block.body) else "stale"
    return "edited" if block.by_hand else "stale"


def _content(file: MarkdownFile, block: Block, sources: Sources) -> str:
    with _at(f"{file.named}:{block.line}"):
        request = read_request(block.settings)
        return table_markdown(request, sources.find(request.run, file.folder))


@contextlib.contextmanager
def _at(where: str) -> Iterator[None]:
    """Errors with the file and the line before them."""
    try:
        yield
    except HarnessError as error:
        raise HarnessError(f"{where}: {error}") from error
    except DAMAGE as error:
        # a run may hold anything where it was written by another program or edited: records are checked by their
        # reader, but not what a table needs of them
        what = f"{type(error).__name__}: {error}"
        raise HarnessError(f"{where}: the run is damaged, or of another version of harness ({what})") from error


def _refuse_what_would_not_stay(file: MarkdownFile, text: str, contents: dict[str, str]) -> None:
    """Raise HarnessError unless the new text, read again, has the same blocks with what was put into them."""
    try:
        found = {block.name: block for block in find_blocks(text, file.named)}
        stays = found.keys() == contents.keys() and all(found[name].holds(contents[name]) for name in found)
    except HarnessError:
        stays = False
    if not stays:
        raise HarnessError(f"{file.named}: what a run says would break the markers; nothing was written")
