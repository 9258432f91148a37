"""PyTorch in eager mode, through transformers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import BaseModelOutput

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint, load_model
from harness.engines.base import CHUNK, Ids, Logits, Session, SessionFacts, Setup, Weights, longest_input
from harness.errors import UnavailableError
from harness.records.environment import installed_version
from harness.records.hashing import code_digest

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
EMULATION_FACTOR = 8.0
"""A bf16 matrix product that takes this many times the fp32 one is emulated: nobody would deploy it."""


class TorchEngine:
    """fp32 as the checkpoint is; bf16 as a converted copy, where the CPU has instructions for it."""

    def prepare(self, checkpoint: Checkpoint, setup: Setup, store: ArtefactStore) -> Path:
        """See :class:`harness.engines.base.Engine`."""
        if setup.precision == "fp32":
            return checkpoint.path
        slowdown = bf16_slowdown()
        if slowdown > EMULATION_FACTOR:
            raise UnavailableError(
                f"bf16 matrix products take {slowdown:.0f} times as long as fp32 ones here (measured): "
                "this CPU has no bf16 instructions and torch emulates them"
            )

        def convert(folder: Path) -> None:
            load_model(checkpoint.path, checkpoint.family, "bfloat16").save_pretrained(folder)
            for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
                if (checkpoint.path / name).exists():
                    (folder / name).write_bytes((checkpoint.path / name).read_bytes())

        made_from = {
            "weights": checkpoint.weights_hash,
            "code": code_digest("engines"),
            "versions": {name: installed_version(name) for name in ("torch", "transformers")},
        }
        return store.get("torch-bf16", checkpoint.path.name, made_from, convert).path

    def open(self, folder: Path, family: str, setup: Setup) -> Session:
        """See :class:`harness.engines.base.Engine`."""
        torch.set_num_threads(setup.threads)
        dtype = str(_DTYPES[setup.precision]).removeprefix("torch.")
        return TorchSession(load_model(folder, family, dtype), family, _weights_bytes(folder))


class TorchSession:
    """A transformers model in evaluation mode."""

    def __init__(self, model: Any, family: str, weights_bytes: int) -> None:
        self._model = model
        self._cache: Any = None
        self._encoded: Any = None
        self._read: torch.Tensor | None = None
        head = model.get_output_embeddings()
        if head is not None:
            head.register_forward_pre_hook(self._only_read)
        config = model.config
        positions = longest_input(config.to_dict(), family)
        self._facts = SessionFacts(family, config.vocab_size, Weights(weights_bytes), "cpu", positions)

    @property
    def facts(self) -> SessionFacts:
        """See :class:`harness.engines.base.Session`."""
        return self._facts

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        length = ids.shape[1]
        if self._facts.family != "causal" or length <= CHUNK:
            yield self._logits(read, ids, decoder_ids=decoder_ids)
            return
        for row, tokens in enumerate(ids):
            self._cache = None
            for start in range(0, length, CHUNK):
                stop = min(start + CHUNK, length)
                mine = read[(read >= row * length + start) & (read < row * length + stop)]
                yield self._logits(mine - row * length - start, tokens[np.newaxis, start:stop], cached=True)
        self._cache = None

    @torch.inference_mode()
    def _logits(self, read: Ids, ids: Ids, decoder_ids: Ids | None = None, cached: bool = False) -> Logits:
        """One pass, after which only the rows that are read go through the head."""
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(ids)}
        if decoder_ids is not None:
            inputs["decoder_input_ids"] = torch.from_numpy(decoder_ids)
        if self._facts.family != "masked":
            inputs["use_cache"] = cached
        if cached:
            inputs["past_key_values"] = self._cache
        self._read = torch.from_numpy(read)
        try:
            output = self._model(**inputs)
        finally:
            self._read = None
        self._cache = output.past_key_values if cached else None
        if output.logits.dim() == 3:  # a head that is not a module of its own, as MobileBERT's
            return _as_numpy(output.logits.flatten(0, 1)[torch.from_numpy(read)])
        return _as_numpy(output.logits)

    def _only_read(self, _: torch.nn.Module, hidden: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        """Before the head: the hidden states that are read, [count, width]; all of them outside of scoring."""
        return None if self._read is None else (hidden[0].flatten(0, 1)[self._read],)

    @torch.inference_mode()
    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        tokens = torch.from_numpy(ids[np.newaxis])
        if self._facts.family == "causal":
            output = self._model(input_ids=tokens, use_cache=True, logits_to_keep=1)
            self._cache = output.past_key_values
            return _as_numpy(output.logits[0, -1])
        self._encoded = BaseModelOutput(last_hidden_state=self._model.get_encoder()(tokens).last_hidden_state)
        self._cache = None
        return self.step(self._model.config.decoder_start_token_id)

    @torch.inference_mode()
    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        tokens = torch.tensor([[token]])
        if self._facts.family == "causal":
            output = self._model(input_ids=tokens, past_key_values=self._cache, use_cache=True)
        else:
            output = self._model(
                decoder_input_ids=tokens,
                encoder_outputs=self._encoded,
                past_key_values=self._cache,
                use_cache=True,
            )
        self._cache = output.past_key_values
        return _as_numpy(output.logits[0, -1])

    @torch.inference_mode()
    def encode(self, ids: Ids) -> None:
        """See :class:`harness.engines.base.Session`."""
        self._model(input_ids=torch.from_numpy(ids))

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        self._model = self._cache = self._encoded = None


def bf16_slowdown(size: int = 256, attempts: int = 12) -> float:
    """How many times as long a bf16 matrix product takes as an fp32 one on this CPU, the best of some attempts."""

    def seconds(dtype: torch.dtype) -> float:
        matrix = torch.ones(size, size, dtype=dtype)
        best = float("inf")
        for _ in range(attempts + 1):
            start = time.perf_counter()
            torch.mm(matrix, matrix)
            best = min(best, time.perf_counter() - start)
        return best

    return seconds(torch.bfloat16) / seconds(torch.float32)


def _as_numpy(logits: torch.Tensor) -> Logits:
    array: Logits = logits.float().numpy()
    return array


def _weights_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
