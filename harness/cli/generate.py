"""``harness generate``: text from one candidate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import CacheDir, Local, Offline, Threads, cache_folder
from harness.errors import HarnessError


def generate(
    name: Annotated[str, typer.Argument(help="a candidate of the catalogue or of --suite, or a checkpoint folder")],
    prompt: Annotated[str, typer.Argument(help="text; <mask> stands for what masked and seq2seq models fill in")],
    engine: Annotated[str, typer.Option("--engine")] = "torch",
    precision: Annotated[str, typer.Option("--precision")] = "fp32",
    device: Annotated[str, typer.Option("--device", help="cpu or cuda")] = "cpu",
    new_tokens: Annotated[int, typer.Option("--new-tokens", "-n", min=1)] = 40,
    suite: Annotated[str, typer.Option("--suite", help="whose candidates and corpus are meant")] = "cpu",
    family: Annotated[str, typer.Option("--family", help="of a checkpoint folder")] = "causal",
    threads: Threads = None,
    local: Local = None,
    offline: Offline = False,
    cache_dir: CacheDir = None,
) -> None:
    """Let a candidate write: a continuation, filled masks, or a decoded output. Trains it first if need be."""
    from harness.candidates import hub
    from harness.candidates.artefacts import ArtefactStore
    from harness.candidates.catalogue import Candidate, resolve, shipped_candidates
    from harness.candidates.published import warn_of_code
    from harness.candidates.spec import CandidateSpec
    from harness.cli.progress import print_step
    from harness.corpora.catalogue import load_corpus
    from harness.engines.catalogue import engine_kind
    from harness.execution.environment import worker_environment
    from harness.records.environment import available_cores
    from harness.suites.loader import load_suite, with_local

    loaded = load_suite(suite).suite
    kind = engine_kind(engine)
    known = {**shipped_candidates(), **loaded.candidate}
    if name not in known and Path(name).is_dir():
        if family not in ("causal", "masked", "seq2seq"):
            raise HarnessError(f"--family {family}: expected causal, masked or seq2seq")
        candidate = Candidate(Path(name).name, CandidateSpec(origin="published", family=family, path=name))
    else:
        candidate = resolve(name, with_local(loaded.candidate, [name], local or ()))
    if reason := kind.refusal(candidate.family, precision, device):
        raise HarnessError(reason)
    warn_of_code([candidate])
    offline = offline or (candidate.spec.hub is not None and not hub.answers())
    cores = threads or available_cores()
    os.environ.update(worker_environment(cores, offline))  # read by the libraries when they are imported
    running = kind.load()
    from harness.candidates.checkpoint import tokenizer_of
    from harness.engines import generation
    from harness.engines.base import Setup
    from harness.training.checkpoints import obtain

    store = ArtefactStore(cache_folder(cache_dir))
    corpus_hash = load_corpus(loaded.corpus).hash if candidate.spec.origin != "published" else ""
    checkpoint = obtain(candidate, loaded.corpus, corpus_hash, store, offline, print_step)
    setup = Setup(precision, device, cores, checkpoint.trust_remote_code)
    session = running.open(running.prepare(checkpoint, setup, store), candidate.family, setup)
    typer.echo(generation.generate(session, tokenizer_of(checkpoint), prompt, new_tokens))
