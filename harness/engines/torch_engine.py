"""PyTorch in eager mode, through transformers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import BaseModelOutput

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint, load_model, model_skeleton
from harness.engines.base import CHUNK, Ids, Logits, Session, SessionFacts, Setup, longest_input
from harness.engines.torch_weights import count_weights, load_int8, save_int8
from harness.errors import UnavailableError
from harness.records.environment import installed_version
from harness.records.hashing import code_digest

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
EMULATION_FACTOR = 8.0
"""A bf16 matrix product that takes this many times the fp32 one is emulated: nobody would deploy it."""


class TorchEngine:
    """fp32 as the checkpoint is; bf16 and fp16 as converted copies; int8 linear layers, on the CPU."""

    def prepare(self, checkpoint: Checkpoint, setup: Setup, store: ArtefactStore) -> Path:
        """See :class:`harness.engines.base.Engine`."""
        require_device(setup)
        if setup.precision == "fp32":
            return checkpoint.path
        if setup.precision == "int8":
            return _converted(checkpoint, store, "int8", lambda folder: _quantise(checkpoint, folder))
        dtype = str(DTYPES[setup.precision]).removeprefix("torch.")

        def convert(folder: Path) -> None:
            _model_of(checkpoint, dtype).save_pretrained(folder)

        return _converted(checkpoint, store, setup.precision, convert)

    def open(self, folder: Path, family: str, setup: Setup) -> Session:
        """See :class:`harness.engines.base.Engine`."""
        return TorchSession(load(folder, family, setup), family, setup, weights_bytes(folder))


class TorchSession:
    """A transformers model in evaluation mode."""

    def __init__(self, model: Any, family: str, setup: Setup, bytes_on_disk: int) -> None:
        self._model, self._device = model, torch.device(setup.device)
        self._cache: Any = None
        self._encoded: Any = None
        self._read: torch.Tensor | None = None
        head = model.get_output_embeddings()
        if head is not None:
            head.register_forward_pre_hook(self._only_read)
        config = model.config
        positions = longest_input(config.to_dict(), family)
        weights = count_weights(model, bytes_on_disk)
        self._facts = SessionFacts(family, config.vocab_size, weights, setup.device, positions)

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
        inputs: dict[str, Any] = {"input_ids": self._tensor(ids)}
        if decoder_ids is not None:
            inputs["decoder_input_ids"] = self._tensor(decoder_ids)
        if self._facts.family != "masked":
            inputs["use_cache"] = cached
        if cached:
            inputs["past_key_values"] = self._cache
        self._read = self._tensor(read)
        try:
            output = self._model(**inputs)
        finally:
            rows, self._read = self._read, None
        self._cache = output.past_key_values if cached else None
        if output.logits.dim() == 3:  # a head that is not a module of its own, as MobileBERT's
            return as_numpy(output.logits.flatten(0, 1)[rows])
        return as_numpy(output.logits)

    def _only_read(self, _: torch.nn.Module, hidden: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        """Before the head: the hidden states that are read, [count, width]; all of them outside of scoring."""
        return None if self._read is None else (hidden[0].flatten(0, 1)[self._read],)

    @torch.inference_mode()
    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        tokens = self._tensor(ids[np.newaxis])
        if self._facts.family == "causal":
            output = self._model(input_ids=tokens, use_cache=True, logits_to_keep=1)
            self._cache = output.past_key_values
            return as_numpy(output.logits[0, -1])
        self._encoded = BaseModelOutput(last_hidden_state=self._model.get_encoder()(tokens).last_hidden_state)
        self._cache = None
        return self.step(self._model.config.decoder_start_token_id)

    @torch.inference_mode()
    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        tokens = torch.tensor([[token]], device=self._device)
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
        return as_numpy(output.logits[0, -1])

    @torch.inference_mode()
    def encode(self, ids: Ids) -> None:
        """See :class:`harness.engines.base.Session`."""
        self._model(input_ids=self._tensor(ids))
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        self._model = self._cache = self._encoded = None

    def _tensor(self, ids: Ids) -> torch.Tensor:
        return torch.from_numpy(ids).to(self._device)


def load(folder: Path, family: str, setup: Setup) -> Any:
    """The model of a prepared folder on its device, with that many threads."""
    torch.set_num_threads(setup.threads)
    if setup.precision == "int8":
        return load_int8(folder, model_skeleton(folder, family, setup.trust_remote_code))
    model = load_model(folder, family, str(DTYPES[setup.precision]).removeprefix("torch."), setup.trust_remote_code)
    return model.to(setup.device)


def require_device(setup: Setup) -> None:
    """Raises UnavailableError where this torch has no CUDA, or this CPU no instructions for the precision."""
    if setup.device == "cuda":
        if not torch.cuda.is_available():
            raise UnavailableError("this torch has no CUDA device; install a CUDA build of torch, or leave out cuda")
        return
    if setup.precision == "bf16" and (slowdown := bf16_slowdown()) > EMULATION_FACTOR:
        raise UnavailableError(
            f"bf16 matrix products take {slowdown:.0f} times as long as fp32 ones here (measured): "
            "this CPU has no bf16 instructions and torch emulates them"
        )


def bf16_slowdown(size: int = 256, attempts: int = 12) -> float:
    """How many times as long a bf16 matrix product takes as an fp32 one on this CPU, the best of some attempts."""

    best = {torch.bfloat16: float("inf"), torch.float32: float("inf")}
    for _ in range(attempts + 1):
        for dtype in best:  # by turns, so that what else the machine does falls on both
            matrix = torch.ones(size, size, dtype=dtype)
            start = time.perf_counter()
            torch.mm(matrix, matrix)
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.bfloat16] / best[torch.float32]


def as_numpy(logits: torch.Tensor) -> Logits:
    """Logits in fp32 on the host, once they are there."""
    array: Logits = logits.float().cpu().numpy()
    return array


def weights_bytes(folder: Path) -> int:
    """Bytes of the weights in a prepared folder."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _model_of(checkpoint: Checkpoint, dtype: str = "float32") -> Any:
    return load_model(checkpoint.path, checkpoint.family, dtype, checkpoint.trust_remote_code)


def _quantise(checkpoint: Checkpoint, folder: Path) -> None:
    model = _model_of(checkpoint)
    save_int8(model, folder)
    model.config.save_pretrained(folder)


def _converted(checkpoint: Checkpoint, store: ArtefactStore, precision: str, convert: Callable[[Path], None]) -> Path:
    """The artefact of a conversion, with the checkpoint's tokenizer beside it, and its code where that may be run."""
    code = sorted(file.name for file in checkpoint.path.glob("*.py")) if checkpoint.trust_remote_code else []

    def build(folder: Path) -> None:
        convert(folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", *code):
            if (checkpoint.path / name).exists():
                (folder / name).write_bytes((checkpoint.path / name).read_bytes())

    made_from = {
        "parent": checkpoint.weights_hash,
        "code": code_digest("engines/torch_engine.py", "engines/torch_weights.py"),
        "versions": {name: installed_version(name) for name in ("torch", "transformers")},
    }
    return store.get(f"torch-{precision}", checkpoint.path.name, made_from, build).path
