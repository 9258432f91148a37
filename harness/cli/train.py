"""``harness train``: one candidate's checkpoint, from scratch, distilled or pruned."""

from __future__ import annotations

import json
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
    from harness.execution.orders import TrainingOrder

FOREVER = 365 * 86_400.0


def train(
    name: Annotated[str, typer.Argument(help="a candidate that is trained here, of the catalogue or of --suite")],
    suite: Annotated[str, typer.Option("--suite", "-s", help="whose candidates and corpus are meant")] = "cpu",
    corpus: Annotated[str | None, typer.Option("--corpus", help="sotu, wikitext-2[:FOLDER] or text:PATH")] = None,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="a new folder for the checkpoint")] = None,
    push_to: Annotated[str | None, typer.Option("--push-to", metavar="REPO", help="upload it to the hub")] = None,
    private: Annotated[bool, typer.Option("--private", help="make the repository of --push-to a private one")] = False,
    report_to: Annotated[
        str | None, typer.Option("--report-to", metavar="TRACKER", help="send the curve to tensorboard, wandb, …")
    ] = None,
    logging_dir: Annotated[Path, typer.Option("--logging-dir", help="where a tracker keeps its files")] = Path("logs"),
    threads: Threads = None,
    cache_dir: CacheDir = None,
) -> None:
    """Train a candidate, or take it from the cache, and show how that went.

    A run that was cut off goes on where it was two minutes before, with the same result. --set training.KEY=VALUE
    changes the recipe. Under torchrun or accelerate's launcher all processes share every step.
    """
    from harness.candidates.artefacts import MANIFEST
    from harness.candidates.catalogue import resolve
    from harness.candidates.push import check_push, push
    from harness.corpora.catalogue import load_corpus
    from harness.execution.environment import worker_environment
    from harness.execution.orders import TrainingOrder
    from harness.records.environment import available_cores
    from harness.reporting.trackers import check_tracker, send_curve
    from harness.reporting.training import training_summary
    from harness.suites.loader import load_suite, trained_as_asked
    from harness.training.curve import CURVE

    chosen = (*(settings or ()), *([f"corpus={corpus}"] if corpus else []))
    loaded = load_suite(suite, chosen).suite
    candidate = resolve(name, trained_as_asked(loaded, [name]))
    out = out.expanduser() if out else None
    if candidate.spec.training is None:
        raise HarnessError(f"candidate '{name}' is {candidate.spec.origin}: it is not trained here")
    if out and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HarnessError(f"--out {out}: expected a new or empty folder")
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    if push_to:
        check_push(push_to)
    if report_to:
        check_tracker(report_to)
    text = load_corpus(loaded.corpus)
    cores = threads or max(1, available_cores() // beside)
    os.environ.update(worker_environment(cores, offline=False))  # read by the libraries when they are imported
    cache = cache_folder(cache_dir)
    conditions: dict[str, Any] = {}
    if processes > 1:
        folder = _together(candidate, text, cache, cores)
    else:
        folder, conditions = _apart(TrainingOrder(candidate, loaded.corpus, text.hash, cache, cores))
    if rank:
        return
    if out:
        shutil.copytree(folder, out, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)
        folder = out
    run = json.loads((folder / CURVE).read_text(encoding="utf-8"))
    typer.echo(training_summary(run, conditions))
    print(f"checkpoint: {folder}", file=sys.stderr)
    if report_to:
        send_curve(run, name, candidate.spec.training.model_dump(), report_to, logging_dir.expanduser())
    if push_to:
        print(f"uploaded: {push(folder, push_to, private)}", file=sys.stderr)


def _apart(order: TrainingOrder) -> tuple[Path, dict[str, Any]]:
    """Train in a worker, which is watched from here: where the checkpoint is in the cache, and what was seen."""
    from harness.cli.progress import print_step
    from harness.execution.local import LocalExecutor

    result = LocalExecutor(order.threads, offline=False).run(order, FOREVER, print_step, telemetry=True)
    if result.outcome is None or result.outcome.prepared is None:
        raise HarnessError(f"{order.candidate.name}: {result.reason}")
    return result.outcome.prepared.folder, result.outcome.conditions


def _together(candidate: Candidate, corpus: Corpus, cache: Path, cores: int) -> Path:
    """Train in all processes that a launcher started: where the checkpoint is in the cache."""
    import torch

    from harness.candidates.artefacts import ArtefactStore
    from harness.cli.progress import print_step
    from harness.training.together import obtain_together

    torch.set_num_threads(cores)
    return obtain_together(candidate, corpus, ArtefactStore(cache), print_step)
