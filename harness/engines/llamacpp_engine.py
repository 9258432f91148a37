"""llama.cpp through its C API, on the CPU: GGUF as published, or written from a GPT-2 checkpoint.

=========  ==========================================================================================================
precision  what is loaded
=========  ==========================================================================================================
fp32       F32, with an F32 KV cache and without flash attention, which would compute in half precision
fp16       matrices in F16; as in all that follow, vectors and position embeddings stay in F32
int8       Q8_0: blocks of 32 signed bytes with an F16 scale
int4       Q4_0, which llama.cpp repacks for the instructions of the CPU; it keeps more bits for the head (Q6_K or Q8_0)
gguf       the published file, exactly as it is
=========  ==========================================================================================================

llama.cpp's own quantiser makes all but fp32 and gguf. These use its defaults: an F16 KV cache, flash attention.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as api
from numpy.typing import NDArray

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.candidates.published import link_or_copy
from harness.engines.base import CHUNK, Ids, Logits, Session, SessionFacts, Setup
from harness.engines.gguf_export import FILE, read_weights, write_gpt2, write_weights
from harness.errors import HarnessError, UnavailableError
from harness.records.environment import installed_version
from harness.records.hashing import code_digest, file_digest

_TYPES = {"fp16": api.LLAMA_FTYPE_MOSTLY_F16, "int8": api.LLAMA_FTYPE_MOSTLY_Q8_0, "int4": api.LLAMA_FTYPE_MOSTLY_Q4_0}
_FLASH_ATTENTION_OFF = 0
_LEVEL_ERROR = 4
_CELLS = 256
"""A KV cache has a multiple of this many positions."""


class LlamaCppEngine:
    """GGUF on the CPU; causal models only."""

    def prepare(self, checkpoint: Checkpoint, setup: Setup, store: ArtefactStore) -> Path:
        """See :class:`harness.engines.base.Engine`."""
        published = sorted(checkpoint.path.glob("*.gguf"))
        if setup.precision == "gguf":
            if len(published) != 1:
                raise UnavailableError(f"expected one .gguf file in {checkpoint.path.name}, found {len(published)}")
            return _as_published(checkpoint, published[0], store)
        try:
            written = _written(checkpoint, store)
        except UnavailableError as error:
            remedy = "; use llamacpp/gguf" if published else ""
            raise UnavailableError(f"{error}{remedy}") from error
        return written if setup.precision == "fp32" else _quantised(checkpoint, written, setup, store)

    def open(self, folder: Path, family: str, setup: Setup) -> Session:
        """See :class:`harness.engines.base.Engine`."""
        return LlamaCppSession(folder, family, setup)


def _as_published(checkpoint: Checkpoint, published: Path, store: ArtefactStore) -> Path:
    def link(folder: Path) -> None:
        link_or_copy(published, folder / FILE)
        write_weights(folder)

    made_from = {"file": file_digest(published), **_made_by()}
    return store.get("gguf-published", checkpoint.path.name, made_from, link).path


def _written(checkpoint: Checkpoint, store: ArtefactStore) -> Path:
    def write(folder: Path) -> None:
        write_gpt2(checkpoint.path, folder / FILE)
        write_weights(folder)

    made_from = {"weights": checkpoint.weights_hash, **_made_by()}
    return store.get("gguf-fp32", checkpoint.path.name, made_from, write).path


def _quantised(checkpoint: Checkpoint, written: Path, setup: Setup, store: ArtefactStore) -> Path:
    def quantise(folder: Path) -> None:
        _LOG.listen()
        parameters = api.llama_model_quantize_default_params()
        parameters.ftype = _TYPES[setup.precision]
        parameters.nthread = setup.threads
        paths = (str(place / FILE).encode() for place in (written, folder))
        if api.llama_model_quantize(*paths, ctypes.byref(parameters)) != 0:
            raise HarnessError(f"llama.cpp cannot quantise {checkpoint.path.name}: {_LOG.reason}")
        write_weights(folder)

    made_from = {"weights": checkpoint.weights_hash, **_made_by()}
    return store.get(f"gguf-{setup.precision}", checkpoint.path.name, made_from, quantise).path


def _made_by() -> dict[str, object]:
    makers = ("llama-cpp-python", "gguf")
    return {
        "code": code_digest("engines/llamacpp_engine.py", "engines/gguf_export.py"),
        "versions": {name: installed_version(name) for name in makers},
    }


class LlamaCppSession:
    """A model and, from its first use on, a context whose KV cache grows with what is asked of it."""

    def __init__(self, folder: Path, family: str, setup: Setup) -> None:
        _LOG.listen()
        self._setup = setup
        self._context: Any = None
        self._cells = self._room = 0
        parameters = api.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self._model = api.llama_model_load_from_file(str(folder / FILE).encode(), parameters)
        if not self._model:
            raise HarnessError(f"llama.cpp cannot load {FILE} of {folder.name}: {_LOG.reason}")
        self._token, self._wanted = np.zeros(1, dtype=np.int32), np.ones(1, dtype=np.int8)
        self._next = _batch(self._token, self._wanted)
        self._facts = SessionFacts(
            family=family,
            vocabulary_size=api.llama_vocab_n_tokens(api.llama_model_get_vocab(self._model)),
            weights=read_weights(folder),
            device="cpu",
            positions=api.llama_model_n_ctx_train(self._model),
        )

    @property
    def facts(self) -> SessionFacts:
        """See :class:`harness.engines.base.Session`."""
        return self._facts

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`; the rows of a batch run one after the other."""
        length = ids.shape[1]
        for row, tokens in enumerate(ids):
            self._begin(length)
            for start in range(0, length, CHUNK):
                stop = min(start + CHUNK, length)
                mine = read[(read >= row * length + start) & (read < row * length + stop)]
                yield self._run(tokens[start:stop], mine - row * length - start)

    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`. Raises HarnessError where prompt and room exceed the positions."""
        self._begin(len(ids) + room)
        self._room = room
        *before, last = range(0, len(ids), CHUNK)
        for start in before:
            self._run(ids[start : start + CHUNK], np.array([], dtype=np.int64))
        logits: Logits = self._run(ids[last:], np.array([len(ids) - last - 1]))[0]
        return logits

    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`. Raises HarnessError past the room that was announced."""
        if self._room == 0:
            raise HarnessError("no room is left for another step")
        self._room -= 1
        self._token[0] = token
        self._decode(self._next)
        logits: Logits = self._logits(1)[0]
        return logits

    def encode(self, ids: Ids) -> None:
        """See :class:`harness.engines.base.Session`."""
        raise HarnessError(f"encode is not defined for {self._facts.family} models")

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        if self._context:
            api.llama_free(self._context)
        if self._model:
            api.llama_model_free(self._model)
        self._context = self._model = None
        self._cells = self._room = 0

    def _begin(self, length: int) -> None:
        """Empty the KV cache, after making one that ``length`` tokens fit into."""
        positions = self._facts.positions
        if positions is not None and length > positions:
            raise HarnessError(f"{length} tokens are more than the model's {positions} positions")
        if length > self._cells:
            self._make_context(-(-length // _CELLS) * _CELLS)
        self._room = 0
        api.llama_memory_clear(api.llama_get_memory(self._context), False)

    def _make_context(self, cells: int) -> None:
        if self._context:
            api.llama_free(self._context)
        parameters = api.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_batch = min(cells, CHUNK)
        parameters.n_threads = parameters.n_threads_batch = self._setup.threads
        parameters.offload_kqv = parameters.op_offload = False
        if self._setup.precision == "fp32":
            parameters.type_k = parameters.type_v = api.GGML_TYPE_F32
            parameters.flash_attn_type = _FLASH_ATTENTION_OFF
        _LOG.listen()
        self._context = api.llama_init_from_model(self._model, parameters)
        self._cells = cells if self._context else 0
        if not self._context:
            raise HarnessError(f"llama.cpp cannot make a context of {cells} tokens: {_LOG.reason}")

    def _run(self, tokens: Ids, read: Ids) -> Logits:
        """Append tokens [length] to the cache; logits [count, vocabulary] of those that are read."""
        batched, wanted = tokens.astype(np.int32), np.zeros(len(tokens), dtype=np.int8)
        wanted[read] = 1
        self._decode(_batch(batched, wanted))
        return self._logits(len(read))

    def _decode(self, batch: Any) -> None:
        if code := api.llama_decode(self._context, batch):
            raise HarnessError(f"llama.cpp cannot decode {batch.n_tokens} tokens (code {code}): {_LOG.reason}")

    def _logits(self, count: int) -> Logits:
        """A copy of the logits of the last batch, [count, vocabulary]: the next ones are written to their place."""
        logits = np.empty((count, self._facts.vocabulary_size), dtype=np.float32)
        ctypes.memmove(logits.ctypes.data, api.llama_get_logits(self._context), logits.nbytes)
        return logits


def _batch(tokens: NDArray[np.int32], wanted: NDArray[np.int8]) -> Any:
    """Tokens [length] that follow those in the cache, and which of them get logits [length].

    The arrays are neither copied nor kept alive: that is for the caller.
    """
    return api.llama_batch(
        n_tokens=len(tokens),
        token=tokens.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
        logits=wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
    )


class _Log:
    """Silences llama.cpp, and keeps what it logs as errors: its functions return no more than that they failed."""

    def __init__(self) -> None:
        self._errors: deque[str] = deque(maxlen=16)
        self._callback = api.llama_log_callback(self._hear)

    def listen(self) -> None:
        """Forget what was heard, and hear what comes."""
        os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # where it aborts, it would start a debugger and wait for that
        self._errors.clear()
        api.llama_log_set(self._callback, ctypes.c_void_p(0))

    @property
    def reason(self) -> str:
        """The first error, which names the cause; those after it say what failed in consequence."""
        return self._errors[0] if self._errors else "no reason given"

    def _hear(self, level: int, text: bytes, _: Any) -> None:
        if level == _LEVEL_ERROR and (line := text.decode("utf-8", "replace").strip()):
            self._errors.append(line)


_LOG = _Log()
