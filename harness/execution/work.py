"""What a task does, inside its worker process. Each kind of task is one function."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint, count_parameters, tokenizer_of
from harness.candidates.operations import prefill_operations
from harness.engines.base import Ids, Session, Weights
from harness.engines.catalogue import engine_kind
from harness.engines.generation import generate
from harness.errors import HarnessError, UnavailableError
from harness.execution.orders import MachineOrder, Outcome, Prepared, TrainingOrder, WorkOrder
from harness.execution.worker import Channel
from harness.quality.measures import family_of, measure_text
from harness.quality.questions import answers
from harness.records.record import Fact
from harness.speed import file_cache
from harness.speed.control import control_seconds
from harness.speed.cuda_memory import cuda_memory_facts
from harness.speed.disturbance import reasons
from harness.speed.energy import energy_facts, open_meter
from harness.speed.gpu import gpu_state
from harness.speed.sweep import sweep
from harness.speed.timing import time_session
from harness.speed.workloads import encode_pass, generation_pass
from harness.training.checkpoints import is_cached, obtain, training_curve, unigram_counts

PARENT = ("torch", "fp32")
"""Engine and precision of the variant that stands for the checkpoint itself."""
SETTLE_SECONDS = 0.05
"""Engines' threads spin for some milliseconds after their last call."""


def perform(order: WorkOrder | MachineOrder | TrainingOrder, channel: Channel) -> Outcome:
    """Do the task. Raises HarnessError or UnavailableError with the reason where it cannot be done."""
    if isinstance(order, MachineOrder):
        return measure_machine(order)
    if isinstance(order, TrainingOrder):
        return train_candidate(order, channel)
    tasks = {
        "candidate": prepare_candidate,
        "variant": prepare_variant,
        "score": score,
        "memory": use_memory,
        "load": load_cold,
        "time": time_variant,
    }
    return tasks[order.kind](order, channel)


def prepare_candidate(order: WorkOrder, channel: Channel) -> Outcome:
    """Fetch, train or distil the candidate, and count the corpus in its tokenizer."""
    import torch

    torch.set_num_threads(order.setup.threads)
    store = order.store()
    cached = is_cached(order.candidate, order.corpus_hash, store)
    checkpoint = obtain(order.candidate, order.corpus_name, order.corpus_hash, store, order.offline, channel.progress)
    channel.progress(1.0, "counting tokens")
    unigram_counts(checkpoint, order.corpus_name, order.corpus_hash, store)
    facts = [Fact(metric="parameters", value=float(count_parameters(checkpoint)))]
    if curve := training_curve(checkpoint):
        about = {key: curve[key] for key in ("tokens", "initialised_from", "unigram_loss")}
        about["teacher"] = order.candidate.teacher.name if order.candidate.teacher else None
        for metric, samples in (("training_loss", curve["steps"]), ("validation_loss", curve["validation"])):
            facts.append(
                Fact(metric=metric, value=samples[-1]["loss"], n=len(samples), samples=samples, protocol=about)
            )
    return Outcome(facts, Prepared(checkpoint, checkpoint.path), {"cached": cached, **_troubles(store)})


def _troubles(store: ArtefactStore) -> dict[str, list[str]]:
    """The conditions that artefacts were found damaged, and made again, and that the storage was not to be used; none
    where all went well."""
    found = {"damaged": store.damaged, "storage": store.storage.troubles if store.storage else []}
    return {condition: told for condition, told in found.items() if told}


def train_candidate(order: TrainingOrder, channel: Channel) -> Outcome:
    """Make the checkpoint, or find it in the cache."""
    import torch

    torch.set_num_threads(order.threads)
    store = ArtefactStore(order.cache_dir)
    cached = is_cached(order.candidate, order.corpus_hash, store)
    made = obtain(order.candidate, order.corpus_name, order.corpus_hash, store, False, channel.progress)
    return Outcome([], Prepared(made, made.path), {"cached": cached})


def prepare_variant(order: WorkOrder, channel: Channel) -> Outcome:
    """Export, convert or quantise the checkpoint for its engine."""
    import torch

    torch.set_num_threads(order.setup.threads)
    before = prepared_of(order)
    kind = engine_kind(order.engine)
    if reason := kind.refusal(order.candidate.family, order.setup.precision, order.setup.device):
        raise UnavailableError(reason)
    engine = kind.load()
    channel.progress(0.0, "exporting")
    store = order.store()
    folder = engine.prepare(before.checkpoint, order.setup, store)
    return Outcome([], Prepared(before.checkpoint, folder), _troubles(store))


def score(order: WorkOrder, channel: Channel) -> Outcome:
    """Measure the size and the quality of the variant, and let it write a sample."""
    before, session = _open(order)
    tokenizer = tokenizer_of(before.checkpoint)
    counts = unigram_counts(before.checkpoint, order.corpus_name, order.corpus_hash, order.store())
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
    return engine.open(prepared_of(order).checkpoint.path, order.candidate.family, setup)


def use_memory(order: WorkOrder, channel: Channel) -> Outcome:
    """Load and run the variant once while the parent watches this process's memory."""
    tokenizer = tokenizer_of(prepared_of(order).checkpoint)
    prompt, _ = real_tokens(tokenizer, order)
    engine_kind(order.engine).load()
    channel.watch_memory()
    _, session = _open(order)
    if session.facts.family == "masked":
        encode_pass(session, prompt[np.newaxis], time.perf_counter)
    else:
        generation_pass(session, prompt, order.timing.new_tokens, time.perf_counter)
    channel.watch_memory()  # once more while all of it is held: a small model is done between two looks
    return Outcome(cuda_memory_facts(order.engine, order.setup.device, os.getpid()))


def load_cold(order: WorkOrder, channel: Channel) -> Outcome:
    """Load the variant in a fresh worker, with its files dropped from the system's cache; no fact where they stay."""
    before, engine = prepared_of(order), engine_kind(order.engine).load()
    files = file_cache.files_of(before.folder)
    try:
        file_cache.drop(files)
    except UnavailableError as error:
        return Outcome([], conditions={"load_cold": f"not available: {error}"})
    start = time.perf_counter()
    engine.open(before.folder, order.candidate.family, order.setup)
    seconds = time.perf_counter() - start
    about = {"file_cache": "dropped", "threads": order.setup.threads}
    return Outcome([Fact("load_cold_seconds", seconds, protocol=about)])


def time_variant(order: WorkOrder, channel: Channel) -> Outcome:
    """Time the variant's loading and its workloads: one worker's share of one round.

    The control workload is timed before the variant is loaded and after the readings; energy and sweeps come last.
    """
    clock, threads = time.perf_counter, {"threads": order.setup.threads}
    tokenizer = tokenizer_of(prepared_of(order).checkpoint)
    prompt, batch = real_tokens(tokenizer, order)
    engine, before = engine_kind(order.engine).load(), prepared_of(order)
    file_cache.warm(file_cache.files_of(before.folder))
    controls = [control_seconds(clock)]
    start = clock()
    session = engine.open(before.folder, order.candidate.family, order.setup)
    load_seconds = clock() - start
    gpu_before = gpu_state(order.setup.device)
    timed = time_session(session, prompt, batch, order.timing, clock)
    gpu_after = gpu_state(order.setup.device)
    time.sleep(SETTLE_SECONDS)
    controls.append(control_seconds(clock))
    joules, energy = _energy(session, prompt, order)
    swept = sweep(session, corpus_ids(tokenizer, order), order.timing, clock)
    facts = [*timed.facts, *joules, *([swept] if swept else [])]
    seen = {
        "disturbed": list(reasons(timed.spent)),
        "measured": timed.spent.as_dict(),
        "warmup": timed.warmup,
        "energy": energy,
        **({"gpu": {"before": gpu_before, "after": gpu_after}} if gpu_before else {}),
    }
    return Outcome(
        [
            Fact("control_seconds", sum(controls) / len(controls), n=len(controls), samples=controls),
            Fact("load_seconds", load_seconds, protocol={"file_cache": "warm", **threads}),
            *(replace(fact, protocol={**fact.protocol, **threads}) for fact in facts),
        ],
        conditions=seen,
    )


def _energy(session: Session, prompt: Ids, order: WorkOrder) -> tuple[list[Fact], str]:
    """Joules per token, and by which counter, or why there are none."""
    try:
        meter = open_meter(order.setup.device)
        return energy_facts(session, prompt, order.timing.new_tokens, meter, time.perf_counter), meter.name
    except UnavailableError as error:
        return [], f"not available: {error}"


def prepared_of(order: WorkOrder) -> Prepared:
    """What was prepared for a variant. Raises HarnessError where nothing was."""
    if order.prepared is None:
        raise HarnessError(f"nothing was prepared for {order.candidate.name}")
    return order.prepared


def _open(order: WorkOrder) -> tuple[Prepared, Session]:
    before = prepared_of(order)
    engine = engine_kind(order.engine).load()
    return before, engine.open(before.folder, order.candidate.family, order.setup)


def real_tokens(tokenizer: object, order: WorkOrder) -> tuple[Ids, Ids]:
    """A prompt [prompt_tokens] and a batch [batch_size, prompt_tokens] of corpus text, repeated where it is short."""
    batch = np.resize(corpus_ids(tokenizer, order), (order.timing.batch_size, order.timing.prompt_tokens))
    return batch[0], batch


def corpus_ids(tokenizer: object, order: WorkOrder) -> Ids:
    """The tokens of the text to time with. Raises HarnessError where it has none."""
    ids = np.asarray(tokenizer(order.prompt_text, add_special_tokens=False)["input_ids"], dtype=np.int64)  # type: ignore[operator]
    if not len(ids):
        raise HarnessError("the corpus gives no tokens to time with")
    return ids
