"""What the machine can do at best: how fast it reads memory, and how fast it multiplies matrices of each type.

Together they are the roofline (Williams, Waterman & Patterson 2009, Communications of the ACM 52(4)) that timings of
variants are held against. Everything is the best of several, so that noise only ever makes a limit too low.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch

from harness.records.record import Fact
from harness.speed.workloads import Clock

BLOCK_BYTES = {"cpu": 2**29, "cuda": 2**31}
"""What a pass over memory reads: many times the caches."""
READ_SECONDS = 0.5
"""What the passes of one way of reading take together."""
PEAK_SECONDS = 1.5
"""What the products of one type may take together; types that are emulated stop at small matrices."""
SIZE_SECONDS = 0.15
"""What the products of one size take together, where three of them take less."""
LARGEST = {"cpu": 4096, "cuda": 8192}
TYPES = {"cpu": ("fp32", "bf16", "int8"), "cuda": ("fp32", "bf16", "fp16", "int8")}

_SMALLEST = 256
_ATTEMPTS = 3
_ROW = 4096
_TORCH = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Work = Callable[[], Any]


@dataclass(frozen=True)
class Bench:
    """Where limits are measured: a device, the threads of the run (cpu), and the clock to read (cpu; cuda has its
    own)."""

    device: str
    threads: int
    clock: Clock

    def seconds(self, work: Work) -> float:
        """Seconds that a piece of work takes until its result is there."""
        if self.device == "cpu":
            start = self.clock()
            work()
            return self.clock() - start
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return float(begin.elapsed_time(end)) / 1000

    def times(self, work: Work, budget_seconds: float) -> list[float]:
        """Seconds of each time after one to warm up: three times, or as often as the budget allows."""
        self.seconds(work)
        times: list[float] = []
        while len(times) < _ATTEMPTS or sum(times) < budget_seconds:
            times.append(max(self.seconds(work), 1e-9))
        return times


@torch.inference_mode()
def measure_limits(bench: Bench) -> list[Fact]:
    """``read_bandwidth`` in bytes/s and a ``matmul_peak_*`` in operations/s for each type that can be multiplied."""
    torch.set_num_threads(bench.threads)
    return [read_bandwidth(bench), *(fact for kind in TYPES[bench.device] if (fact := matmul_peak(bench, kind)))]


def read_bandwidth(bench: Bench) -> Fact:
    """Bytes/s of reading a block much larger than the caches once, by the best of a few reductions.

    A sum is the fastest where memory is the limit; a product with a vector is what a decode step does.
    """
    free = psutil.virtual_memory().available if bench.device == "cpu" else torch.cuda.mem_get_info()[0]
    size = min(BLOCK_BYTES[bench.device], free // 4)
    block = torch.ones(max(size // (4 * _ROW), 1), _ROW, device=bench.device)
    vector = torch.ones(_ROW, device=bench.device)
    ways: dict[str, Work] = {
        "sum": block.sum,
        "sums of rows": lambda: block.sum(1),
        "product with a vector": lambda: torch.mv(block, vector),
    }
    read = block.numel() * block.element_size()
    found = {name: read / min(bench.times(work, READ_SECONDS)) for name, work in ways.items()}
    method = max(found, key=lambda name: found[name])
    about = {"method": method, "block_bytes": read, "threads": bench.threads}
    return Fact(metric="read_bandwidth", value=found[method], n=len(ways), samples=[found], protocol=about)


def matmul_peak(bench: Bench, kind: str) -> Fact | None:
    """Operations/s (a multiplication and an addition are two) of the best square product of one type.

    Sizes double from 256 up to what is large for the device, as long as the next one fits into the time that is left.
    None where the library has no such product here.
    """
    spent, found = 0.0, {}
    size = _SMALLEST
    while size <= LARGEST[bench.device]:
        try:
            times = bench.times(_product(bench, kind, size), SIZE_SECONDS)
        except (RuntimeError, ImportError):
            break
        found[size] = 2 * size**3 / min(times)
        spent += sum(times)
        if spent + 8 * (_ATTEMPTS + 1) * min(times) > PEAK_SECONDS:
            break
        size *= 2
    if not found:
        return None
    largest = max(found, key=lambda size: found[size])
    about = {"size": largest, "library": _library(bench.device, kind), "threads": bench.threads}
    return Fact(metric=f"matmul_peak_{kind}", value=found[largest], n=len(found), samples=[found], protocol=about)


def _product(bench: Bench, kind: str, size: int) -> Work:
    """A product of two square matrices of a type. Raises RuntimeError or ImportError where there is none."""
    if kind != "int8":
        a, b = (torch.rand(size, size, device=bench.device).to(_TORCH[kind]) for _ in range(2))
        return lambda: torch.mm(a, b)
    if bench.device == "cuda":
        c, d = (torch.randint(-127, 127, (size, size), dtype=torch.int8, device=bench.device) for _ in range(2))
        return lambda: torch._int_mm(c, d.t())
    return _integer_product(size, bench.threads)


def _integer_product(size: int, threads: int) -> Work:
    """An int8 product on the CPU by onnxruntime, whose kernels for unsigned by signed bytes use what instructions the
    CPU has (AVX2, VNNI, AMX, dot products); torch's own, ``_int_mm``, is a plain loop where there is no AMX or VNNI."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    values = np.random.default_rng(0).integers(0, 64, (size, size))
    weights = numpy_helper.from_array(values.astype(np.int8), "weights")
    product = helper.make_node("MatMulInteger", ["left", "weights"], ["product"])
    left = helper.make_tensor_value_info("left", TensorProto.UINT8, [size, size])
    result = helper.make_tensor_value_info("product", TensorProto.INT32, [size, size])
    graph = helper.make_graph([product], "product", [left], [result], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {"left": values.astype(np.uint8)}
    return lambda: session.run(None, inputs)


def _library(device: str, kind: str) -> str:
    return "onnxruntime, uint8 by int8" if (device, kind) == ("cpu", "int8") else "torch"
