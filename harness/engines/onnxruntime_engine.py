"""onnxruntime: exported ONNX in fp32 or dynamic int8, decoding with IO binding so that the cache is not copied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines import export
from harness.engines.base import CHUNK, Ids, Logits, Session, SessionFacts, Setup, longest_input
from harness.engines.onnx_weights import read_weights
from harness.errors import HarnessError
from harness.records.environment import isa_flags

_FLOAT = "tensor(float)"


class OnnxRuntimeEngine:
    """ONNX on the CPU."""

    def prepare(self, checkpoint: Checkpoint, setup: Setup, store: ArtefactStore) -> Path:
        """See :class:`harness.engines.base.Engine`."""
        if setup.precision == "int8":
            return export.quantised(checkpoint, store, isa_flags())
        return export.exported(checkpoint, store)

    def open(self, folder: Path, family: str, setup: Setup) -> Session:
        """See :class:`harness.engines.base.Engine`."""
        sessions = {"causal": CausalSession, "masked": MaskedSession, "seq2seq": Seq2SeqSession}
        return sessions[family](folder, family, setup.threads)


class _OnnxSession:
    """What the three families share: the graphs, the facts and how a graph is run."""

    def __init__(self, folder: Path, family: str, threads: int) -> None:
        self._folder = folder
        self._config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        files = [folder / name for name in export.FILES[family]]
        self._graphs = [_load(file, threads) for file in files]
        self._facts = SessionFacts(
            family=family,
            vocabulary_size=self._config["vocab_size"],
            weights=read_weights(folder),
            device="cpu",
            positions=longest_input(self._config, family),
        )

    @property
    def facts(self) -> SessionFacts:
        """See :class:`harness.engines.base.Session`."""
        return self._facts

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        self._graphs.clear()

    def _refuse(self, method: str) -> HarnessError:
        return HarnessError(f"{method} is not defined for {self._facts.family} models")

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        raise self._refuse("score")

    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        raise self._refuse("prefill")

    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        raise self._refuse("step")

    def encode(self, ids: Ids) -> None:
        """See :class:`harness.engines.base.Session`."""
        raise self._refuse("encode")


class CausalSession(_OnnxSession):
    """One graph with the KV cache as inputs and outputs; a prompt runs with an empty cache."""

    def __init__(self, folder: Path, family: str, threads: int) -> None:
        super().__init__(folder, family, threads)
        self._cache = _Cache(self._graphs[0], "past_key_values.", "present.")
        self._length = 0

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        batch, length = ids.shape
        if length <= CHUNK:
            self._cache.clear(batch)
            yield self._run(ids, 0, read).numpy()
            return
        for row, tokens in enumerate(ids):
            self._cache.clear()
            for start in range(0, length, CHUNK):
                stop = min(start + CHUNK, length)
                mine = read[(read >= row * length + start) & (read < row * length + stop)]
                yield self._run(tokens[np.newaxis, start:stop], start, mine - row * length - start).numpy()

    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        self._cache.clear()
        self._length = len(ids)
        return _last(self._run(ids[np.newaxis], 0, np.array([len(ids) - 1])))

    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        self._length += 1
        return _last(self._run(np.array([[token]], dtype=np.int64), self._length - 1, np.array([0])))

    def _run(self, ids: Ids, past: int, read: Ids) -> Any:
        batch, length = ids.shape
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones((batch, past + length), dtype=np.int64),
            "position_ids": np.tile(np.arange(past, past + length, dtype=np.int64), (batch, 1)),
            export.READ: read,
        }
        return self._cache.run(inputs)


class MaskedSession(_OnnxSession):
    """One graph from ids to logits."""

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        graph = self._graphs[0]
        known = {each.name for each in graph.get_inputs()}
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
            export.READ: read,
        }
        yield graph.run(["logits"], {name: array for name, array in inputs.items() if name in known})[0]

    def encode(self, ids: Ids) -> None:
        """See :class:`harness.engines.base.Session`."""
        next(self.score(ids, np.arange(ids.size)))


class Seq2SeqSession(_OnnxSession):
    """An encoder, a decoder for the first step, and a decoder that takes the KV cache."""

    def __init__(self, folder: Path, family: str, threads: int) -> None:
        super().__init__(folder, family, threads)
        self._encoder, first, following = self._graphs
        self._first = _Cache(first, "past_key_values.", "present.")
        self._following = _Cache(following, "past_key_values.", "present.")
        self._source: dict[str, Any] = {}

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        if decoder_ids is None:
            raise HarnessError("a seq2seq model scores decoder ids")
        self._encode(ids)
        yield self._first.run({**self._source, "input_ids": decoder_ids, export.READ: read}).numpy()

    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        self._encode(ids[np.newaxis])
        start = np.array([[self._config["decoder_start_token_id"]]], dtype=np.int64)
        logits = _last(self._first.run({**self._source, "input_ids": start, export.READ: np.array([0])}))
        self._following.take_over(self._first)
        return logits

    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        tokens = np.array([[token]], dtype=np.int64)
        return _last(self._following.run({**self._source, "input_ids": tokens, export.READ: np.array([0])}))

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        super().close()
        del self._encoder, self._first, self._following

    def _encode(self, ids: Ids) -> None:
        mask = np.ones_like(ids)
        hidden = self._encoder.run(["last_hidden_state"], {"input_ids": ids, "attention_mask": mask})[0]
        self._source = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}


class _Cache:
    """Runs a decoder graph and hands the cache that it returns to the next run, without copying it."""

    def __init__(self, graph: Any, past: str, present: str) -> None:
        self._graph = graph
        self._inputs = {each.name: each for each in graph.get_inputs()}
        self._outputs = [each.name for each in graph.get_outputs()]
        self._past, self._present = past, present
        self._state: dict[str, Any] = {}

    def clear(self, batch: int = 1) -> None:
        """An empty cache for a batch, where the graph takes one."""
        self._state = {
            name: ort.OrtValue.ortvalue_from_numpy(np.zeros(self._empty_shape(each.shape, batch), dtype=np.float32))
            for name, each in self._inputs.items()
            if name.startswith(self._past)
        }

    def take_over(self, other: _Cache) -> None:
        """Continue from the cache that another graph has filled."""
        self._state = dict(other._state)

    def run(self, inputs: dict[str, Any]) -> Any:
        """Run the graph once; returns the logits as an OrtValue and keeps the cache."""
        binding = self._graph.io_binding()
        for name, array in inputs.items():
            if name in self._inputs:
                binding.bind_cpu_input(name, array)
        for name, value in self._state.items():
            if name in self._inputs:
                binding.bind_ortvalue_input(name, value)
        for name in self._outputs:
            binding.bind_output(name)
        self._graph.run_with_iobinding(binding)
        results = dict(zip(self._outputs, binding.get_outputs(), strict=True))
        logits = results.pop("logits")
        for name, value in results.items():
            self._state[self._past + name.removeprefix(self._present)] = value
        return logits

    @staticmethod
    def _empty_shape(shape: list[Any], batch: int) -> tuple[int, ...]:
        """Symbolic dimensions: the batch comes first, the past length is nothing yet."""
        return tuple(size if isinstance(size, int) else batch if axis == 0 else 0 for axis, size in enumerate(shape))


def _last(logits: Any) -> Logits:
    row: Logits = logits.numpy()[-1]
    return row


def _load(file: Path, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exception classes have no public base
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise HarnessError(f"onnxruntime cannot load {file.name}: {first}") from error
