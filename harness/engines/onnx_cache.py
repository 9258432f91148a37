"""KV caches of ONNX decoders, bound to a graph's inputs and outputs so that they are never copied by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort

from harness.engines.onnx_fusion import SEQUENCE_LENGTHS, TOTAL_LENGTH, step_inputs
from harness.engines.onnx_graph import PAST, PRESENT

_NUMPY = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class GrowingCache:
    """Runs a graph that joins past and present, and hands the cache that it returns to the next run."""

    def __init__(self, graph: Any, device: str) -> None:
        self._graph, self._device = graph, device
        self._inputs = {each.name: each for each in graph.get_inputs()}
        self._outputs = [each.name for each in graph.get_outputs()]
        self._state: dict[str, Any] = {}

    def clear(self, batch: int, room: int = 0) -> None:
        """An empty cache for a batch, where the graph takes one. It grows, so that ``room`` does not matter."""
        self._state = {
            name: _empty([batch, each.shape[1], 0, each.shape[3]], each.type, self._device)
            for name, each in self._inputs.items()
            if name.startswith(PAST)
        }

    def take_over(self, other: GrowingCache) -> None:
        """Continue from the cache that another graph has filled."""
        self._state = dict(other._state)

    def step(self, token: int, past: int) -> Any:
        """Logits [vocabulary] after one more token of one row."""
        return self.run(step_inputs(np.array([[token]], dtype=np.int64), past, np.array([0])))[-1]

    def run(self, inputs: dict[str, Any]) -> Any:
        """Run the graph once; returns the logits [count, vocabulary] and keeps the cache."""
        binding = self._graph.io_binding()
        for name, value in inputs.items():
            if name in self._inputs:
                _bind(binding, name, value)
        for name, value in self._state.items():
            if name in self._inputs:
                binding.bind_ortvalue_input(name, value)
        for name in self._outputs:
            binding.bind_output(name, "cpu" if name == "logits" else self._device)
        self._graph.run_with_iobinding(binding)
        results = dict(zip(self._outputs, binding.get_outputs(), strict=True))
        logits = results.pop("logits")
        for name, value in results.items():
            self._state[PAST + name.removeprefix(PRESENT)] = value
        return logits.numpy()


class FixedCache:
    """Runs a graph with fused attention, whose past and present are one piece of memory, written in place."""

    def __init__(self, graph: Any, device: str) -> None:
        self._graph, self._device = graph, device
        self._inputs = {each.name: each for each in graph.get_inputs()}
        self._memory: dict[str, Any] = {}
        self._held = (0, 0)
        self._step: tuple[Any, dict[str, Any], Any] | None = None

    def clear(self, batch: int, room: int) -> None:
        """A cache for rows of at most ``room`` tokens. What an earlier text left in it lies beyond the lengths that
        the graph is told, and is never read."""
        if self._held[0] == batch and self._held[1] >= room:
            return
        self._held, self._step = (batch, room), None
        self._memory = {
            name: _empty([batch, each.shape[1], room, each.shape[3]], each.type, self._device)
            for name, each in self._inputs.items()
            if name.startswith(PAST)
        }

    def run(self, inputs: dict[str, Any]) -> Any:
        """Run the graph once; returns the logits [count, vocabulary] and keeps the cache."""
        binding = self._bound(inputs)
        binding.bind_output("logits")
        self._graph.run_with_iobinding(binding)
        return binding.get_outputs()[-1].numpy()

    def step(self, token: int, past: int) -> Any:
        """Logits [vocabulary] after one more token of one row. Everything was bound before: only numbers change."""
        if self._step is None:
            inputs = step_inputs(np.array([[token]], dtype=np.int64), past, np.array([0], dtype=np.int64))
            logits = np.empty((1, self._graph.get_outputs()[0].shape[-1]), dtype=np.float32)
            binding = self._bound(inputs)
            binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
            self._step = binding, inputs, logits
        binding, inputs, logits = self._step
        inputs["input_ids"][0, 0] = token
        inputs["position_ids"][0, 0] = past
        inputs[SEQUENCE_LENGTHS][0] = past
        inputs[TOTAL_LENGTH][...] = past + 1
        self._graph.run_with_iobinding(binding)
        return logits[0].copy()

    def _bound(self, inputs: dict[str, Any]) -> Any:
        binding = self._graph.io_binding()
        for name, memory in self._memory.items():
            binding.bind_ortvalue_input(name, memory)
            binding.bind_ortvalue_output(PRESENT + name.removeprefix(PAST), memory)
        for name, value in inputs.items():
            if name in self._inputs:
                binding.bind_cpu_input(name, value)
        return binding


def _bind(binding: Any, name: str, value: Any) -> None:
    """Bind an array, or what an earlier graph left on the device."""
    if isinstance(value, np.ndarray):
        binding.bind_cpu_input(name, value)
    else:
        binding.bind_ortvalue_input(name, value)


def _empty(shape: list[int], kind: str, device: str) -> Any:
    return ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, dtype=_NUMPY[kind]), device, 0)
