"""What a task does, inside its worker process. Each kind of task is one function."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate
from harness.candidates.checkpoint import Checkpoint, count_parameters, load_tokenizer
from harness.candidates.operations import prefill_operations
from harness.corpora.corpus import Document
from harness.engines.base import Ids, Session, Setup, Weights
from harness.engines.catalogue import engine_kind
from harness.engines.generation import generate
from harness.errors import HarnessError, UnavailableError
from harness.execution.worker import Channel
from harness.items.questionnaire import Questionnaire
from harness.quality.family import Scoring
from harness.quality.measures import family_of, measure_text
from harness.quality.questions import answers
from harness.records.record import Fact
from harness.speed.control import control_seconds
from harness.speed.timing import Timing, time_session
from harness.speed.workloads import encode_pass, generation_pass
from harness.training.checkpoints import obtain, training_curve, unigram_counts

PARENT = ("torch", "fp32")
"""Engine and precision of the variant that stands for the checkpoint itself."""


@dataclass(frozen=True)
class Prepared:
    """What a prepare task hands to the tasks that need it."""

    checkpoint: Checkpoint
    folder: Path


@dataclass(frozen=True)
class WorkOrder:
    """Everything that a worker needs: plain data, sent to another process."""

    kind: str
    candidate: Candidate
    engine: str
    setup: Setup
    cache_dir: Path
    offline: bool
    corpus_name: str
    corpus_hash: str
    documents: tuple[Document, ...]
    questions: Questionnaire
    prompt_text: str
    sample_prompt: str
    sample_tokens: int
    scoring: Scoring
    timing: Timing
    prepared: Prepared | None = None


@dataclass(frozen=True)
class MachineOrder:
    """What a worker needs that measures the machine itself."""

    device: str
    threads: int


@dataclass(frozen=True)
class Outcome:
    """What a task found out, and what it hands on."""

    facts: list[Fact]
    prepared: Prepared | None = None


def perform(order: WorkOrder | MachineOrder, channel: Channel) -> Outcome:
    """Do the task. Raises HarnessError or UnavailableError with the reason where it cannot be done."""
    if isinstance(order, MachineOrder):
        return measure_machine(order)
    tasks = {
        "candidate": prepare_candidate,
        "variant": prepare_variant,
        "score": score,
        "memory": use_memory,
        "time": time_variant,
    }
    return tasks[order.kind](order, channel)


def prepare_candidate(order: WorkOrder, channel: Channel) -> Outcome:
    """Fetch, train or distil the candidate, and count the corpus in its tokenizer."""
    import torch

    torch.set_num_threads(order.setup.threads)
    store = ArtefactStore(order.cache_dir)
    checkpoint = obtain(order.candidate, order.corpus_name, order.corpus_hash, store, order.offline, channel.progress)
    channel.progress(1.0, "counting tokens")
    unigram_counts(checkpoint, order.corpus_name, order.corpus_hash, store)
    facts = [Fact(metric="parameters", value=float(count_parameters(checkpoint)))]
    if curve := training_curve(checkpoint):
        about = {key: curve[key] for key in ("tokens", "initialised_from", "unigram_loss")}
        for metric, samples in (("training_loss", curve["steps"]), ("validation_loss", curve["validation"])):
            facts.append(
                Fact(metric=metric, value=samples[-1]["loss"], n=len(samples), samples=samples, protocol=about)
            )
    return Outcome(facts, Prepared(checkpoint, checkpoint.path))


def prepare_variant(order: WorkOrder, channel: Channel) -> Outcome:
    """Export, convert or quantise the checkpoint for its engine."""
    import torch

    torch.set_num_threads(order.setup.threads)
    before = _prepared(order)
    kind = engine_kind(order.engine)
    if reason := kind.refusal(order.candidate.family, order.setup.precision, order.setup.device):
        raise UnavailableError(reason)
    engine = kind.load()
    channel.progress(0.0, "exporting")
    folder = engine.prepare(before.checkpoint, order.setup, ArtefactStore(order.cache_dir))
    return Outcome([], Prepared(before.checkpoint, folder))


def score(order: WorkOrder, channel: Channel) -> Outcome:
    """Measure the size and the quality of the variant, and let it write a sample."""
    before, session = _open(order)
    tokenizer = load_tokenizer(before.checkpoint.path)
    counts = unigram_counts(before.checkpoint, order.corpus_name, order.corpus_hash, ArtefactStore(order.cache_dir))
    family = family_of(session, tokenizer)
    parent = _parent(order)
    facts = [
        *weight_facts(session.facts.weights),
        *operation_facts(before.checkpoint, order.timing.prompt_tokens),
        *measure_text(session, family, order.documents, counts, order.scoring, parent),
        *answers(session, family, order.documents, counts, order.questions),
        Fact(
            metric="text",
            text=generate(session, tokenizer, order.sample_prompt, order.sample_tokens),
            protocol={"prompt": order.sample_prompt, "new_tokens": order.sample_tokens, "decoding": "greedy"},
        ),
    ]
    session.close()
    return Outcome(facts)


def weight_facts(weights: Weights) -> list[Fact]:
    """Size of the weights, and what of them is quantised, with the counts that prove it."""
    counts = {"elements": dict(weights.elements), "operators": dict(weights.operators)}
    return [
        Fact(metric="weights_bytes", value=float(weights.bytes_on_disk)),
        Fact(metric="quantised_share", value=weights.quantised_share, protocol=counts),
        Fact(metric="step_bytes", value=float(weights.step_bytes)),
    ]


def operation_facts(checkpoint: Checkpoint, prompt_tokens: int) -> list[Fact]:
    """Operations of the timed prompt; none for architectures whose work depends on the data."""
    operations = prefill_operations(checkpoint, prompt_tokens)
    about = {"prompt_tokens": prompt_tokens, "counted": "matrix products of the architecture"}
    return [] if operations is None else [Fact(metric="prefill_operations", value=float(operations), protocol=about)]


def measure_machine(order: MachineOrder) -> Outcome:
    """Measure what the machine can do at best on a device, with the run's threads."""
    from harness.speed.limits import Bench, measure_limits

    return Outcome(measure_limits(Bench(order.device, order.threads, time.perf_counter)))


def _parent(order: WorkOrder) -> Session | None:
    """The checkpoint in fp32 torch, that a variant is compared with; None for itself."""
    if (order.engine, order.setup.precision) == PARENT:
        return None
    engine, setup = engine_kind(PARENT[0]).load(), replace(order.setup, precision=PARENT[1])
    return engine.open(_prepared(order).checkpoint.path, order.candidate.family, setup)


def use_memory(order: WorkOrder, channel: Channel) -> Outcome:
    """Load and run the variant once while the parent watches this process's memory."""
    tokenizer = load_tokenizer(_prepared(order).checkpoint.path)
    prompt, _ = _real_tokens(tokenizer, order)
    engine_kind(order.engine).load()
    channel.watch_memory()
    _, session = _open(order)
    if session.facts.family == "masked":
        encode_pass(session, prompt[np.newaxis], time.perf_counter)
    else:
        generation_pass(session, prompt, order.timing.new_tokens, time.perf_counter)
    return Outcome([])


def time_variant(order: WorkOrder, channel: Channel) -> Outcome:
    """Time the variant's loading and its workloads: one worker's share of one round."""
    tokenizer = load_tokenizer(_prepared(order).checkpoint.path)
    prompt, batch = _real_tokens(tokenizer, order)
    engine, before = engine_kind(order.engine).load(), _prepared(order)
    control = control_seconds(time.perf_counter)
    start = time.perf_counter()
    session = engine.open(before.folder, order.candidate.family, order.setup)
    load_seconds = time.perf_counter() - start
    facts = time_session(session, prompt, batch, order.timing, time.perf_counter)
    threads = {"threads": order.setup.threads}
    return Outcome(
        [
            Fact(metric="control_seconds", value=control),
            Fact(metric="load_seconds", value=load_seconds, protocol={"file_cache": "warm", **threads}),
            *(replace(fact, protocol={**fact.protocol, **threads}) for fact in facts),
        ]
    )


def _prepared(order: WorkOrder) -> Prepared:
    if order.prepared is None:
        raise HarnessError(f"nothing was prepared for {order.candidate.name}")
    return order.prepared


def _open(order: WorkOrder) -> tuple[Prepared, Session]:
    before = _prepared(order)
    engine = engine_kind(order.engine).load()
    return before, engine.open(before.folder, order.candidate.family, order.setup)


def _real_tokens(tokenizer: object, order: WorkOrder) -> tuple[Ids, Ids]:
    """A prompt [prompt_tokens] and a batch [batch_size, prompt_tokens] of corpus text, repeated where it is short."""
    ids = np.asarray(tokenizer(order.prompt_text, add_special_tokens=False)["input_ids"], dtype=np.int64)  # type: ignore[operator]
    if not len(ids):
        raise HarnessError("the corpus gives no tokens to time with")
    length, rows = order.timing.prompt_tokens, order.timing.batch_size
    batch = np.resize(ids, (rows, length))
    return batch[0], batch
