"""``text:PATH``: a user's own text, from .txt, .jsonl or .parquet files."""

from __future__ import annotations

import json
from pathlib import Path

from harness.corpora.corpus import Corpus, Document
from harness.corpora.reading import read_text
from harness.errors import HarnessError

SUFFIXES = (".txt", ".jsonl", ".parquet")
FEWEST_DOCUMENTS = 3
_SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}


def load(location: str | None) -> Corpus:
    """Read a file, or all files below a folder, in order of name.

    A .txt file is a document; a single one, and one that is a split, is cut at blank lines into documents. A .jsonl
    line or a .parquet row is a document, its text in the key or column ``text``. Files whose stem is train,
    validation (valid, dev) or test are those splits; without such names documents are dealt out: every tenth to test,
    every tenth to validation.
    Raises HarnessError for a missing path, text that is not UTF-8, a row without text, or too few documents.
    """
    if not location:
        raise HarnessError("corpus 'text': say where, as text:PATH")
    path = Path(location).expanduser()
    name = f"text:{path.name}"
    if not path.exists():
        raise HarnessError(f"corpus 'text': there is no {path}")
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
    if not files:
        raise HarnessError(f"corpus 'text': no {', '.join(SUFFIXES)} file in {path}")
    named = {file: _SPLIT_NAMES[file.stem] for file in files if file.stem in _SPLIT_NAMES}
    documents = {file: _documents(file, cut=len(files) == 1 or file in named) for file in files}
    found = set(named.values())
    if {"train", "test"} <= found and "validation" not in found:
        raise HarnessError(f"corpus 'text': {path} has files named train and test, but none named validation")
    if len(found) == 3:
        splits = {
            split: tuple(d for file, s in named.items() if s == split for d in documents[file]) for split in found
        }
        left = [file.name for file in files if file not in named]
        return Corpus(name, splits, note="splits by file name" + (f"; left out: {', '.join(left)}" if left else ""))
    everything = [doc for file in files for doc in documents[file] if doc.text.strip()]
    if len(everything) < FEWEST_DOCUMENTS:
        raise HarnessError(
            f"corpus 'text': {path} has {len(everything)} documents that are not empty; "
            f"{FEWEST_DOCUMENTS} are needed, one for each split"
        )
    step = min(10, len(everything))
    half = step // 2
    return Corpus(
        name,
        {
            "train": tuple(doc for i, doc in enumerate(everything) if i % step not in (0, half)),
            "validation": tuple(everything[half::step]),
            "test": tuple(everything[0::step]),
        },
        note=f"split by document: every {step}th to test",
    )


def _documents(file: Path, cut: bool) -> list[Document]:
    if file.suffix == ".jsonl":
        return _json_lines(file)
    if file.suffix == ".parquet":
        return _parquet_rows(file)
    if file.suffix != ".txt":
        raise HarnessError(f"corpus 'text': {file} is none of {', '.join(SUFFIXES)}")
    text = read_text(file)
    if not cut:
        return [Document(file.name, text)]
    paragraphs = [part for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]
    return [Document(f"{file.name}#{i}", part) for i, part in enumerate(paragraphs)]


def _json_lines(file: Path) -> list[Document]:
    documents = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise HarnessError(f"{file}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise HarnessError(f"{file}, line {number}: expected an object with the key 'text'")
        try:
            row["text"].encode("utf-8")  # JSON can spell half a surrogate pair, which no tokenizer takes
        except UnicodeEncodeError as error:
            raise HarnessError(f"{file}, line {number}: half a surrogate pair at character {error.start}") from error
        documents.append(Document(f"{file.name}#{number}", row["text"]))
    return documents


def _parquet_rows(file: Path) -> list[Document]:
    import pyarrow.parquet

    try:
        column = pyarrow.parquet.read_table(file, columns=["text"]).column("text").to_pylist()
    except (OSError, ValueError, KeyError) as error:
        raise HarnessError(f"{file}: cannot read a column 'text' ({str(error).splitlines()[0]})") from error
    for number, text in enumerate(column):
        if not isinstance(text, str):
            raise HarnessError(f"{file}, row {number}: 'text' is not a string")
    return [Document(f"{file.name}#{number}", text) for number, text in enumerate(column)]
