"""``harness train``: one candidate's checkpoint, from scratch, distilled or pruned."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import CacheDir, Settings, Threads, cache_folder
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.candidates.catalogue import Candidate
    from harness.corpora.corpus import Corpus


def train(
    name: Annotated[str, typer.Argument(help="a candidate that is trained here, of the catalogue or of --suite")],
    suite: Annotated[str, typer.Option("--suite", "-s", help="whose candidates and corpus are meant")] = "cpu",
    corpus: Annotated[str | None, typer.Option("--corpus", help="sotu, wikitext-2[:FOLDER] or text:PATH")] = None,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="a new folder for the checkpoint")] = None,
    push_to: Annotated[str | None, typer.Option("--push-to", metavar="REPO", help="upload it to the hub")] = None,
    private: Annotated[bool, typer.Option("--private", help="make the repository of --push-to a private one")] = False,
    threads: Threads = None,
    cache_dir: CacheDir = None,
) -> None:
    """Train a candidate, or take it from the cache, and show how that went.

    A run that was cut off goes on where it was two minutes before, with the same result. --set training.KEY=VALUE
    changes the recipe. Under torchrun all processes share every step; that needs --out.
    """
    from harness.candidates.catalogue import resolve
    from harness.candidates.push import check_push, push
    from harness.corpora.catalogue import load_corpus
    from harness.execution.environment import worker_environment
    from harness.records.environment import available_cores
    from harness.suites.loader import load_suite, trained_as_asked

    chosen = (*(settings or ()), *([f"corpus={corpus}"] if corpus else []))
    loaded = load_suite(suite, chosen).suite
    candidate = resolve(name, trained_as_asked(loaded, [name]))
    out = out.expanduser() if out else None
    if candidate.spec.training is None:
        raise HarnessError(f"candidate '{name}' is {candidate.spec.origin}: it is not trained here")
    if out and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HarnessError(f"--out {out}: expected a new or empty folder")
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if processes > 1 and not out:
        raise HarnessError("several processes train into a folder of their own: give --out")
    if push_to:
        check_push(push_to)
    text = load_corpus(loaded.corpus)
    cores = threads or max(1, available_cores() // processes)
    os.environ.update(worker_environment(cores, offline=False))  # read by the libraries when they are imported
    import torch

    torch.set_num_threads(cores)
    cache = cache_folder(cache_dir)
    folder = (
        _together(candidate, text, cache, out, processes, rank)
        if processes > 1 and out
        else _cached(candidate, loaded.corpus, text, cache, out)
    )
    if rank:
        return
    typer.echo(_summary(folder))
    print(f"checkpoint: {folder}", file=sys.stderr)
    if push_to:
        print(f"uploaded: {push(folder, push_to, private)}", file=sys.stderr)


def _cached(candidate: Candidate, corpus_name: str, corpus: Corpus, cache: Path, out: Path | None) -> Path:
    """Where the checkpoint is: in the cache, or in ``out``, a copy."""
    from harness.candidates.artefacts import MANIFEST, ArtefactStore
    from harness.cli.progress import print_step
    from harness.training.checkpoints import obtain

    made = obtain(candidate, corpus_name, corpus.hash, ArtefactStore(cache), False, print_step).path
    if out is None:
        return made
    shutil.copytree(made, out, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)
    return out


def _together(candidate: Candidate, corpus: Corpus, cache: Path, out: Path, processes: int, rank: int) -> Path:
    """Train in all processes; the first one saves to ``out``, and says how it goes."""
    import tempfile

    from harness.candidates.artefacts import ArtefactStore, open_artefact
    from harness.candidates.checkpoint import load_model, load_tokenizer
    from harness.cli.progress import print_step
    from harness.training.recipe import train

    store, teacher = ArtefactStore(cache), None
    if above := candidate.teacher:
        teacher = store.place("checkpoints", above.name, above.description(corpus.hash))
        if open_artefact(teacher) is None:
            raise HarnessError(f"no teacher of '{candidate.name}' in the cache; first: harness train {above.name}")
    unfinished = store.workplace("together", candidate.name, [candidate.description(corpus.hash), processes])
    with tempfile.TemporaryDirectory() as elsewhere:
        folder = Path(elsewhere) if rank else out
        folder.mkdir(parents=True, exist_ok=True)
        train(
            candidate.spec,
            corpus,
            folder,
            print_step if rank == 0 else lambda share, word: None,
            teacher=load_model(teacher, candidate.family) if teacher else None,
            tokenizer=load_tokenizer(teacher) if teacher else None,
            unfinished=unfinished,
        )
    if rank == 0:
        shutil.rmtree(unfinished, ignore_errors=True)
    return out


def _summary(folder: Path) -> str:
    import json

    from harness.reporting.training import training_summary
    from harness.training.curve import CURVE

    run: dict[str, Any] = json.loads((folder / CURVE).read_text(encoding="utf-8"))
    return training_summary(run)
