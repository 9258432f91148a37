"""Kinds of input that are text: suites, stored runs, baselines, blocks, documents, claims and corpora."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import fuzz_originals as originals
from fuzz_mutations import CHUNKS, as_json, damaged, damaged_alike, damaged_numbers, damaged_toml, damaged_value
from fuzz_property import Kind

from harness.corpora.catalogue import load_corpus
from harness.errors import HarnessError
from harness.items.blimp import load_blimp
from harness.records.baselines import save_baseline
from harness.records.blocks import BLOCKS_FILE, BlockStore
from harness.records.run_folder import RECORDS_FILE, RUN_FILE, open_run
from harness.reporting.docs.files import read_files, write_files
from harness.reporting.docs.refresh import refreshed
from harness.reporting.docs.sources import Sources
from harness.selection.claims_file import read_claims
from harness.suites.loader import load_suite

RUN = "mine-1"
SUITE = "suite.toml"


def _write_suite(rng: Random, folder: Path) -> None:
    text = rng.choice(originals.suite_files())
    if rng.random() < 0.6:
        text = damaged_toml(rng, text.decode()).encode()
    if rng.random() < 0.6:
        text = damaged(rng, text, originals.suite_files())
    (folder / SUITE).write_bytes(text)


def _read_suite(given: Path, taken: Path) -> None:
    load_suite(str(given / SUITE), ["rounds=2"])


def _write_claims(rng: Random, folder: Path) -> None:
    text = originals.claims_file()
    if rng.random() < 0.6:
        text = damaged_toml(rng, text.decode()).encode()
    if rng.random() < 0.6:
        text = damaged(rng, text, originals.suite_files())
    (folder / "claims.toml").write_bytes(text)


def _read_claims(given: Path, taken: Path) -> None:
    read_claims(given / "claims.toml")


def _write_records(rng: Random, folder: Path) -> None:
    """A run whose lines of records have damaged bytes."""
    _place_run(folder, {**originals.run_files(), RECORDS_FILE: damaged(rng, originals.run_files()[RECORDS_FILE])})


def _read_records(given: Path, taken: Path) -> None:
    open_run(given / RUN).records()


def _write_run_json(rng: Random, folder: Path) -> None:
    """A run whose description is damaged, in its bytes or in its values."""
    content = originals.run_files()[RUN_FILE]
    by_value = rng.random() < 0.5
    content = as_json(damaged_value(rng, json.loads(content))).encode() if by_value else damaged(rng, content)
    _place_run(folder, {**originals.run_files(), RUN_FILE: content})


def _read_run_json(given: Path, taken: Path) -> None:
    _render(given, taken, only_info=True)


def _write_stored(rng: Random, folder: Path) -> None:
    """A run that can be parsed, with values of other types and sizes inside."""
    found = dict(originals.run_files())
    lines = [json.loads(line) for line in found[RECORDS_FILE].splitlines()]
    for _ in range(rng.randint(1, 3)):
        index = rng.randrange(len(lines))
        lines[index] = _changed(rng, lines[index])
    found[RECORDS_FILE] = b"".join(as_json(line).encode() + b"\n" for line in lines)
    _place_run(folder, found)


def _changed(rng: Random, record: dict[str, Any]) -> Any:
    """A record with another value anywhere, with odd values of the right types, or with anything in what readers of
    records do not look into: samples, protocols and conditions."""
    fact = record.get("fact") if isinstance(record, dict) else record
    within = fact or record
    places = [key for key in ("samples", "protocol", "conditions") if isinstance(within, dict) and key in within]
    if not isinstance(fact, dict | None) or not places:
        return record  # it was changed before
    place = rng.choice(places)
    match rng.randrange(5):
        case 0:
            return damaged_value(rng, record, most=2)
        case 1:
            return {**record, "fact": damaged_alike(rng, record["fact"])}
        case 2:
            return {**damaged_alike(rng, record), "schema_version": 1, "status": record["status"]}
        case _:
            changed = {**within, place: damaged_value(rng, within[place])}
            return changed if within is record else {**record, "fact": changed}


def _read_stored(given: Path, taken: Path) -> None:
    _render(given, taken)


def _render(given: Path, taken: Path, only_info: bool = False) -> None:
    """What reads a stored run: the listing, a report in one of its formats, a comparison, a baseline, and the verbs of
    the command line that hold them."""
    from harness.cli.compare import FailOn, compare
    from harness.cli.list_ import runs
    from harness.cli.report import Format, report

    size = (given / RUN / RECORDS_FILE).stat().st_size
    formats = (Format.JSON, Format.HTML) if only_info else tuple(Format)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        runs(given, True)
        errors = [
            _refusal(lambda: report(RUN, formats[size % len(formats)], taken / "report", runs_dir=given)),
            _refusal(lambda: compare(str(given / RUN), str(sound_baseline()), FailOn.NEVER, out=taken / "verdict.md")),
            _refusal(lambda: save_baseline(open_run(given / RUN), "kept", taken)),
        ]
    for error in errors:
        if error:
            raise error


def _refusal(read: Callable[[], object]) -> HarnessError | None:
    try:
        read()
    except HarnessError as error:
        return error
    return None


@cache
def sound_baseline() -> Path:
    """A baseline of the run without damage."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-sound-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stored = json.loads(originals.baseline_file())
    stored["records"] = [{**each, "duration_seconds": 3.5} for each in stored["records"]]
    (folder / "sound.json").write_text(json.dumps(stored), encoding="utf-8")
    return folder / "sound.json"


def _write_baseline(rng: Random, folder: Path) -> None:
    content = originals.baseline_file()
    by_value = rng.random() < 0.5
    content = as_json(damaged_value(rng, json.loads(content))).encode() if by_value else damaged(rng, content)
    sound_baseline()
    (folder / "main.json").write_bytes(content)


def _read_baseline(given: Path, taken: Path) -> None:
    from harness.cli.baseline import show
    from harness.cli.compare import FailOn, compare

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        show(str(given / "main.json"), json_output=False)
        compare(str(given / "main.json"), str(sound_baseline()), FailOn.NEVER, out=taken / "verdict.md")


def _write_blocks(rng: Random, folder: Path) -> None:
    content = originals.blocks_file()
    if rng.random() < 0.5:
        lines = [json.loads(line) for line in content.splitlines()]
        index = rng.randrange(len(lines))
        lines[index] = damaged_value(rng, lines[index])
        content = b"".join(as_json(line).encode() + b"\n" for line in lines)
    else:
        content = damaged(rng, content)
    (folder / BLOCKS_FILE).write_bytes(content)


def _read_blocks(given: Path, taken: Path) -> None:
    for block in BlockStore(given).read():
        assert isinstance(block.metrics, tuple)


def _write_document(rng: Random, folder: Path) -> None:
    content = originals.document(RUN).encode()
    _place_run(folder, originals.run_files())
    (folder / "page.md").write_bytes(damaged(rng, content, CHUNKS))


def _read_document(given: Path, taken: Path) -> None:
    page = taken / "page.md"
    page.write_bytes((given / "page.md").read_bytes())
    (file,) = read_files([page])
    found = refreshed(file, Sources(given, given))
    write_files([(found.file, found.text)])


def _write_corpus(rng: Random, folder: Path) -> None:
    name, content = rng.choice(list(_corpus_files().items()))
    content = damaged(rng, content) if rng.random() < 0.7 else damaged_numbers(rng, content, len(content))
    if name == "wikitext.raw":
        for split in ("train", "valid", "test"):
            (folder / f"wiki.{split}.raw").write_bytes(content)
        (folder / "name").write_text(f"wikitext-2:{folder}")
    else:
        (folder / name).write_bytes(content)
        if rng.random() < 0.1:
            (folder / "loop").symlink_to(folder)
            (folder / "gone.txt").symlink_to(folder / "nothing")
        (folder / "name").write_text(f"text:{rng.choice((folder, folder / name))}")


def _read_corpus(given: Path, taken: Path) -> None:
    corpus = load_corpus((given / "name").read_text())
    assert corpus.hash
    os.fsencode(corpus.name)


@cache
def _corpus_files() -> dict[str, bytes]:
    return originals.corpus_files()


def _write_zip(rng: Random, folder: Path) -> None:
    """BLiMP in a zip: damaged bytes, damaged lines, members with names that lead out, or one that unpacks to much."""
    lines = originals.blimp_lines()
    members = {"blimp/data/a.jsonl": lines, "README.md": b"x"}
    match rng.randrange(5):
        case 0:
            members["blimp/data/a.jsonl"] = damaged(rng, lines)
        case 1:
            members[rng.choice(("../escaped.jsonl", "/tmp/escaped.jsonl", "a/../../b.jsonl", "\\..\\c.jsonl"))] = lines
        case 2:
            fill = rng.choice((b"\0", b" ", b"\n", b"[", b'{"a":'))
            members["bomb.jsonl"] = fill * rng.choice((10**5, 3 * 10**6, 2 * 10**7))
    content = originals.blimp_zip(members)
    if rng.random() < 0.6:
        content = damaged(rng, content) if rng.random() < 0.5 else damaged_numbers(rng, content, len(content))
    (folder / "blimp.zip").write_bytes(content)


def _read_zip(given: Path, taken: Path) -> None:
    assert load_blimp(str(given / "blimp.zip"), 2).hash


def _place_run(folder: Path, contents: dict[str, bytes]) -> None:
    sound_baseline()
    (folder / RUN).mkdir()
    for name, content in contents.items():
        (folder / RUN / name).write_bytes(content)


KINDS = (
    Kind("suites", _write_suite, _read_suite),
    Kind("claims", _write_claims, _read_claims),
    Kind("records", _write_records, _read_records),
    Kind("run.json", _write_run_json, _read_run_json),
    Kind("stored-runs", _write_stored, _read_stored),
    Kind("baselines", _write_baseline, _read_baseline),
    Kind("blocks", _write_blocks, _read_blocks),
    Kind("documents", _write_document, _read_document),
    Kind("corpora", _write_corpus, _read_corpus),
    Kind("blimp-zips", _write_zip, _read_zip),
)
