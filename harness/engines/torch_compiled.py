"""PyTorch compiled by ``torch.compile``: decoding into a KV cache of fixed size, so that one compiled step serves all.

Compiling takes place at the first call, which a report shows; what it makes is kept in the compiler's own cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import EncoderDecoderCache, StaticCache

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines.base import CHUNK, Ids, Logits, Session, Setup
from harness.engines.torch_engine import TorchEngine, TorchSession, as_numpy, load, weights_bytes
from harness.errors import UnavailableError

ROOM = 64
"""A cache holds a multiple of so many tokens, so that texts of about one length share one compiled step."""


class TorchCompileEngine(TorchEngine):
    """The torch engine's folders, compiled. On CUDA a step is replayed as a CUDA graph (mode ``reduce-overhead``)."""

    def prepare(self, checkpoint: Checkpoint, setup: Setup, store: ArtefactStore) -> Path:
        """See :class:`harness.engines.base.Engine`."""
        if setup.device == "cpu":
            _require_compiler()
        return super().prepare(checkpoint, setup, store)

    def open(self, folder: Path, family: str, setup: Setup) -> Session:
        """See :class:`harness.engines.base.Engine`."""
        return CompiledSession(load(folder, family, setup), family, setup, weights_bytes(folder))


class CompiledSession(TorchSession):
    """A compiled model. Scoring takes another compiled graph than generation, of any length."""

    def __init__(self, model: Any, family: str, setup: Setup, bytes_on_disk: int) -> None:
        super().__init__(model, family, setup, bytes_on_disk)
        mode = "reduce-overhead" if setup.device == "cuda" else "default"
        self._any_length: Any = torch.compile(model, dynamic=True)
        self._one_token: Any = torch.compile(model, dynamic=False, mode=mode)
        self._static: Any = None
        self._source: Any = None
        self._room = self._position = 0

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        if self.facts.family == "causal" and ids.shape[1] > CHUNK:
            yield from super().score(ids, read)  # by chunks, as they are served: through the model as it is
            return
        yield self._compiled_logits(ids, read, decoder_ids)

    @torch.inference_mode()
    def _compiled_logits(self, ids: Ids, read: Ids, decoder_ids: Ids | None) -> Logits:
        inputs = {"input_ids": self._tensor(ids)}
        if decoder_ids is not None:
            inputs["decoder_input_ids"] = self._tensor(decoder_ids)
        if self.facts.family != "masked":
            inputs["use_cache"] = False  # type: ignore[assignment]
        logits = self._any_length(**inputs).logits
        return as_numpy(logits.flatten(0, 1)[self._tensor(read)])

    @torch.inference_mode()
    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        tokens = self._tensor(ids[np.newaxis])
        config = self._model.config
        if self.facts.family == "causal":
            self._static = self._cache_for(len(ids) + room)
            self._position = len(ids)
            places = torch.arange(len(ids), device=self._device)
            output = self._model(
                input_ids=tokens, past_key_values=self._static, cache_position=places, use_cache=True, logits_to_keep=1
            )
            return as_numpy(output.logits[0, -1])
        self._source = self._model.get_encoder()(tokens)
        own = StaticCache(config=config.get_text_config(decoder=True), max_cache_len=_rounded(room + 1))
        cross = StaticCache(config=config.get_text_config(decoder=True), max_cache_len=len(ids))
        self._static, self._position = EncoderDecoderCache(own, cross), 0
        return self._run(self._model, config.decoder_start_token_id)

    @torch.inference_mode()
    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        return self._run(self._one_token, token)

    @torch.inference_mode()
    def encode(self, ids: Ids) -> None:
        """See :class:`harness.engines.base.Session`."""
        self._any_length(input_ids=self._tensor(ids))
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        super().close()
        self._any_length = self._one_token = self._static = self._source = None

    def _cache_for(self, length: int) -> Any:
        """The cache of the last text, emptied, where it is large enough; else a new one."""
        if self._static is None or self._room < length:
            self._room = _rounded(length)
            cache: Any = StaticCache(config=self._model.config, max_cache_len=self._room)
            return cache
        self._static.reset()
        return self._static

    def _run(self, model: Any, token: int) -> Logits:
        tokens = torch.tensor([[token]], device=self._device)
        place = torch.tensor([self._position], device=self._device)
        own = {"input_ids": tokens} if self._source is None else {"decoder_input_ids": tokens}
        source = {} if self._source is None else {"encoder_outputs": self._source}
        output = model(**own, **source, past_key_values=self._static, cache_position=place, use_cache=True)
        self._position += 1
        return as_numpy(output.logits[0, -1])


def _rounded(length: int) -> int:
    return -(-length // ROOM) * ROOM


def _require_compiler() -> None:
    """Raises UnavailableError where torch finds no C++ compiler, which its CPU code needs."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise UnavailableError("torch.compile needs a C++ compiler; install g++ or clang++") from error
