"""BLiMP: minimal pairs of English sentences, from the hub, a folder or a zip (Warstadt et al. 2020, TACL 8)."""

from __future__ import annotations

import json
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from harness.errors import HarnessError, UnavailableError
from harness.items.items import Choice
from harness.records.hashing import digest

REPOSITORY = "nyu-mll/blimp"
LONGEST_LINE = 1_000_000
"""Bytes; a pair takes some hundreds. Bounds the memory that a damaged file, or a zip bomb, can take."""

MOST_UNPACKED = 1 << 30
"""Bytes that the files of a zip may have together; BLiMP's have 25 million. A small zip could hold any number of pairs,
all of which are kept in memory."""
MOST_LINES = 1_000_000
"""In a file; BLiMP's have 1,000. Some kilobytes of a zip can hold any number of empty ones: hours of reading."""

Row = tuple[str, Any]
"""Where a pair stands, for errors, and what stands there."""


@dataclass(frozen=True)
class BlimpPairs:
    """Pairs of sentences in order of paradigm, then of the file; a choice's ``document`` is the index of its paradigm.

    ``passed_over`` counts the pairs that were left out because both sentences are the same. The published 67,000 have
    seven of them (github.com/alexwarstadt/blimp, issue 10).
    """

    paradigms: tuple[str, ...]
    choices: tuple[Choice, ...]
    passed_over: int = 0

    @cached_property
    def hash(self) -> str:
        """Names the pairs: paradigms and sentences, in order."""
        return digest([self.paradigms, [[choice.document, choice.good, choice.bad] for choice in self.choices]])


def load_blimp(location: str, pairs: int) -> BlimpPairs:
    """The first ``pairs`` pairs of each paradigm, in the order of its file; 0 takes all.

    ``location`` is ``hub``, a folder with .jsonl files in it or in its folder ``data``, or a .zip with .jsonl files
    anywhere in it. A line is an object with the texts ``sentence_good``, ``sentence_bad`` and ``UID``, the paradigm.
    Pairs of two equal sentences are passed over, since they ask nothing.
    Raises HarnessError that names the file, and the line where there is one, for a path or a line that cannot be used;
    UnavailableError where the hub cannot be reached. Offline, the hub's cache is of no use here: datasets does not know
    the paradigms in it (github.com/huggingface/datasets, issue 7947).
    """
    rows = _from_hub() if location == "hub" else _from_path(Path(location).expanduser())
    taken: dict[str, list[tuple[str, str]]] = {}
    passed_over = 0
    for where, row in rows:
        paradigm, good, bad = (_text(where, row, key) for key in ("UID", "sentence_good", "sentence_bad"))
        kept = taken.setdefault(paradigm, [])
        if pairs and len(kept) >= pairs:
            continue
        if good == bad:
            passed_over += 1
        else:
            kept.append((good, bad))
    empty = sorted(paradigm for paradigm, kept in taken.items() if not kept)
    if empty:
        raise HarnessError(f"BLiMP: both sentences are the same in every pair of '{empty[0]}' ({location})")
    if not taken:
        raise HarnessError(f"BLiMP: there is no pair in {location}")
    paradigms = tuple(sorted(taken))
    found = (Choice(i, good, bad, name) for i, name in enumerate(paradigms) for good, bad in taken[name])
    return BlimpPairs(paradigms, tuple(found), passed_over)


def _text(where: str, row: Any, key: str) -> str:
    if not isinstance(row, dict):
        raise HarnessError(f"{where}: expected an object with the key '{key}'")
    text = row.get(key)
    if not isinstance(text, str) or not text.strip():
        raise HarnessError(f"{where}: '{key}' must be a text that is not empty")
    try:
        text.encode("utf-8")  # JSON can spell half a surrogate pair, which no tokenizer takes
    except UnicodeEncodeError as error:
        raise HarnessError(f"{where}: '{key}' has half a surrogate pair at character {error.start}") from error
    return text


def _from_hub() -> Iterator[Row]:
    remedy = "name a folder or a .zip that holds BLiMP's .jsonl files instead of 'hub'"
    import datasets

    offline = os.environ.get("HF_HUB_OFFLINE") == "1"
    datasets.disable_progress_bars()
    try:
        loaded = {
            name: datasets.load_dataset(REPOSITORY, name, split="train")
            for name in datasets.get_dataset_config_names(REPOSITORY)
        }
    except (OSError, ValueError, RuntimeError) as error:
        where = "cannot be had from the hub's cache (offline)" if offline else "cannot be had from the hub"
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise UnavailableError(f"BLiMP {where}: {first}; {remedy}") from error
    for name, rows in loaded.items():
        yield from ((f"{REPOSITORY} {name}, row {number}", row) for number, row in enumerate(rows))


def _from_path(path: Path) -> Iterable[Row]:
    if path.is_dir():
        return _from_folder(path)
    if not path.exists():
        raise HarnessError(f"BLiMP: there is no {path}")
    if path.suffix.lower() != ".zip":
        raise HarnessError(f"BLiMP: {path} is neither a folder nor a .zip")
    return _from_zip(path)


def _from_folder(folder: Path) -> Iterator[Row]:
    files = [path for path in sorted(folder.glob("*.jsonl")) if _counts(path.name)]
    files = files or [path for path in sorted(folder.glob("data/*.jsonl")) if _counts(f"data/{path.name}")]
    if not files:
        raise HarnessError(f"BLiMP: no .jsonl file in {folder} or in its folder 'data'")
    for file in files:
        try:
            with file.open("rb") as stream:
                yield from _rows(stream, str(file))
        except OSError as error:
            raise HarnessError(f"cannot read {file}: {error.strerror or error}") from error


def _from_zip(path: Path) -> Iterator[Row]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted((m for m in archive.infolist() if _counts(m.filename)), key=lambda m: m.filename)
            if not members:
                raise HarnessError(f"BLiMP: no .jsonl file in {path}")
            if (size := sum(member.file_size for member in members)) > MOST_UNPACKED:
                raise HarnessError(f"BLiMP: {path} would unpack to {size:,} bytes, more than {MOST_UNPACKED:,}")
            for member in members:
                with archive.open(member) as stream:
                    yield from _rows(stream, f"{path}:{member.filename}")
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise HarnessError(f"cannot read {path}: not a .zip, damaged or encrypted ({first})") from error


def _counts(name: str) -> bool:
    """Whether a file is data; macOS adds files of its own, in ``__MACOSX`` and with names that begin with a dot."""
    *folders, file = name.split("/")
    return file.endswith(".jsonl") and not file.startswith(".") and "__MACOSX" not in folders


def _rows(stream: IO[bytes], name: str) -> Iterator[Row]:
    """The lines of a file as JSON, one at a time; blank lines are left out."""
    for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE + 1), b""), start=1):
        where = f"{name}, line {number}"
        if number > MOST_LINES:
            raise HarnessError(f"{name}: more than {MOST_LINES:,} lines")
        if len(line) > LONGEST_LINE:
            raise HarnessError(f"{where}: longer than {LONGEST_LINE:,} bytes")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise HarnessError(f"{where}: not UTF-8 text: byte {error.start} is 0x{line[error.start]:02x}") from error
        if not text.strip():
            continue
        try:
            yield where, json.loads(text)
        except (ValueError, RecursionError) as error:
            raise HarnessError(f"{where}: not JSON ({error})") from error
