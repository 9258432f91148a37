"""OpenVINO on the CPU: exported ONNX in its own format, the KV cache kept as the state of a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines import export
from harness.engines.base import CHUNK, Ids, Logits, Session, Setup
from harness.engines.graph_session import GraphSession
from harness.engines.onnx_graph import READ
from harness.engines.openvino_library import core, has_bf16, ov, reason
from harness.engines.openvino_model import converted, ir
from harness.engines.openvino_state import BEAM, PAST, PRESENT
from harness.errors import HarnessError, UnavailableError


class OpenVinoEngine:
    """fp32 and bf16 as they are named; int8 and int4 weights that are multiplied in bf16 where the CPU can, else fp32.

    Where the CPU has VNNI, OpenVINO quantises the activations of int8 and int4 products too, 32 at a time; without VNNI
    it does not. The KV cache is kept in the type of the products, not in OpenVINO's default of 8 bits.
    """

    def prepare(self, checkpoint: Checkpoint, setup: Setup, store: ArtefactStore) -> Path:
        """See :class:`harness.engines.base.Engine`."""
        if setup.precision == "bf16" and not has_bf16():
            raise UnavailableError("OpenVINO would compute bf16 in fp32 here: this CPU has no bf16 instructions")
        return converted(checkpoint, setup.precision, store)

    def open(self, folder: Path, family: str, setup: Setup) -> Session:
        """See :class:`harness.engines.base.Engine`."""
        sessions = {"causal": CausalSession, "masked": MaskedSession, "seq2seq": Seq2SeqSession}
        return sessions[family](folder, family, setup)


def properties(setup: Setup) -> dict[str, Any]:
    """How OpenVINO compiles a graph for one caller at a time.

    Threads are as many as asked for, hardware threads included, and free to move, as those of the other engines are.
    """
    compute = "bf16" if setup.precision != "fp32" and has_bf16() else "f32"
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": setup.threads,
        "ENABLE_HYPER_THREADING": True,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": compute,
        "KV_CACHE_PRECISION": compute,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 32 if setup.precision.startswith("int") else 0,
    }


class _OpenVinoSession(GraphSession):
    """The graphs of a family, compiled."""

    def __init__(self, folder: Path, family: str, setup: Setup) -> None:
        super().__init__(folder, family, setup.device)
        self._graphs = [_Graph(folder / ir(name), properties(setup)) for name in export.FILES[family]]

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        for graph in self._graphs:
            graph.close()


class CausalSession(_OpenVinoSession):
    """One graph that remembers the tokens that it has read; a prompt begins with a reset."""

    def __init__(self, folder: Path, family: str, setup: Setup) -> None:
        super().__init__(folder, family, setup)
        (self._graph,) = self._graphs
        self._token = np.zeros((1, 1), dtype=np.int64)
        self._position = np.zeros((1, 1), dtype=np.int64)
        self._seen = np.ones((1, 0), dtype=np.int64)

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        length = ids.shape[1]
        if length <= CHUNK:
            self._graph.forget()
            yield self._run(ids, 0, read)
            return
        for row, tokens in enumerate(ids):
            self._graph.forget()
            for start in range(0, length, CHUNK):
                stop = min(start + CHUNK, length)
                mine = read[(read >= row * length + start) & (read < row * length + stop)]
                yield self._run(tokens[np.newaxis, start:stop], start, mine - row * length - start)

    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        self._graph.forget()
        row: Logits = self._run(ids[np.newaxis], 0, np.array([len(ids) - 1]))[0]
        self._seen = np.ones((1, len(ids) + room), dtype=np.int64)
        self._position[:] = len(ids) - 1
        self._graph.feed(_one_row(self._token) | {"position_ids": self._position})
        return row

    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        self._token[:] = token
        self._position += 1
        self._graph.feed({"attention_mask": self._seen[:, : self._position[0, 0] + 1]})
        row: Logits = self._graph.logits(1)[0]
        return row

    def _run(self, ids: Ids, past: int, read: Ids) -> Logits:
        batch, length = ids.shape
        self._graph.feed(
            {
                "input_ids": ids,
                "attention_mask": np.ones((batch, past + length), dtype=np.int64),
                "position_ids": np.tile(np.arange(past, past + length, dtype=np.int64), (batch, 1)),
                BEAM: np.arange(batch, dtype=np.int32),
                READ: read,
            }
        )
        return self._graph.logits(len(read))


class MaskedSession(_OpenVinoSession):
    """One graph from ids to logits."""

    def __init__(self, folder: Path, family: str, setup: Setup) -> None:
        super().__init__(folder, family, setup)
        (self._graph,) = self._graphs
        self._unread: Logits | None = None

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        self._feed(ids, read)
        yield self._graph.logits(len(read))

    def encode(self, ids: Ids) -> None:
        """See :class:`harness.engines.base.Session`."""
        self._feed(ids, np.arange(ids.size))
        self._unread = self._graph.logits(ids.size, self._unread)

    def _feed(self, ids: Ids, read: Ids) -> None:
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        self._graph.feed(inputs | {READ: read})


class Seq2SeqSession(_OpenVinoSession):
    """An encoder, a decoder for the first step, and one that remembers its own tokens and is given the source's cache.

    Tensors go from graph to graph as they are; only the cache of the first token is copied, into the state.
    """

    def __init__(self, folder: Path, family: str, setup: Setup) -> None:
        super().__init__(folder, family, setup)
        self._encoder, self._first, self._following = self._graphs
        self._token = np.zeros((1, 1), dtype=np.int64)

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        if decoder_ids is None:
            raise HarnessError("a seq2seq model scores decoder ids")
        self._encode(ids)
        self._first.feed({"input_ids": decoder_ids, READ: read})
        yield self._first.logits(len(read))

    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        mask = self._encode(ids[np.newaxis])
        self._token[:] = self._config["decoder_start_token_id"]
        self._first.feed(_one_row(self._token))
        row: Logits = self._first.logits(1)[0]
        cache = {name.replace(PRESENT, PAST): tensor for name, tensor in self._first.results(PRESENT).items()}
        self._following.remember(cache)
        self._following.feed(cache | _one_row(self._token) | {"encoder_attention_mask": mask})
        return row

    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        self._token[:] = token
        row: Logits = self._following.logits(1)[0]
        return row

    def _encode(self, ids: Ids) -> Ids:
        """Run the encoder and give what it makes to the first decoder; returns the mask of the source."""
        mask = np.ones_like(ids)
        self._encoder.feed({"input_ids": ids, "attention_mask": mask})
        self._encoder.run()
        (hidden,) = self._encoder.results("last_hidden_state").values()
        self._first.feed({"encoder_hidden_states": hidden, "encoder_attention_mask": mask})
        return mask


def _one_row(token: Ids) -> dict[str, Any]:
    """The inputs of a step that are the same in every step, but for what is written into ``token`` [1, 1]."""
    return {"input_ids": token, BEAM: np.zeros(1, dtype=np.int32), READ: np.zeros(1, dtype=np.int64)}


class _Graph:
    """A compiled graph and its one request, which reads and writes numpy's memory where it lies."""

    def __init__(self, file: Path, settings: dict[str, Any]) -> None:
        try:
            compiled = core().compile_model(file, "CPU", settings)
        except RuntimeError as error:
            raise HarnessError(f"OpenVINO cannot load {file.name}: {reason(error)}") from error
        self._name = file.name
        self._request = compiled.create_infer_request()
        self._inputs = {_own_name(port) for port in compiled.inputs}
        sizes = {_own_name(port): port.get_partial_shape()[-1].get_length() for port in compiled.outputs}
        self._outputs = list(sizes)
        self._vocabulary = sizes.get("logits", 0)
        self._held: dict[str, Any] = {}

    def feed(self, inputs: Mapping[str, Any]) -> None:
        """Set inputs, arrays or tensors, that hold until they are set again; those that the graph lacks are left out.

        The memory is not copied: what is written into an array before a run is what the run reads.
        """
        for name, value in inputs.items():
            if name in self._inputs:
                if isinstance(value, np.ndarray):
                    value = np.ascontiguousarray(value)
                    self._held[name] = value
                    value = ov.Tensor(value, shared_memory=True)
                self._request.set_tensor(name, value)

    def run(self) -> None:
        """Run the graph on what it was fed."""
        try:
            self._request.infer(share_outputs=True)
        except RuntimeError as error:
            raise HarnessError(f"OpenVINO failed in {self._name}: {reason(error)}") from error

    def logits(self, count: int, into: Logits | None = None) -> Logits:
        """Run the graph; its logits [count, vocabulary] in memory of their own, or in ``into`` where that fits.

        The request knows only the address of that memory, so every run sets it anew, and the caller owns the logits.
        """
        shape = (count, self._vocabulary)
        array = np.empty(shape, dtype=np.float32) if into is None or into.shape != shape else into
        self._request.set_tensor("logits", ov.Tensor(array, shared_memory=True))
        self.run()
        return array

    def results(self, prefix: str) -> dict[str, Any]:
        """Tensors that the last run has made, by name; they hold until the next run."""
        return {name: self._request.get_tensor(name) for name in self._outputs if name.startswith(prefix)}

    def forget(self) -> None:
        """Empty the state."""
        self._request.reset_state()

    def remember(self, cache: Mapping[str, Any]) -> None:
        """Make the state that of another graph."""
        self._request.reset_state()
        for variable in self._request.query_state():
            variable.state = cache[variable.name]

    def close(self) -> None:
        """Give back the memory."""
        self._held.clear()
        del self._request


def _own_name(port: Any) -> str:
    """The name that the graph was given for a port; what it folds away adds names of inner nodes, which are paths."""
    name: str = min(port.names, key=lambda name: ("/" in name, name))
    return name
