"""What quality and speed see of an engine: a session, in numpy arrays.

A session is a variant loaded in memory. Its methods depend on the family of its candidate:

========== ==================================================== ===========================
family      score: logits                                        generate / encode
========== ==================================================== ===========================
causal      after the positions that are read                    prefill, then step
masked      at the positions that are read                       encode
seq2seq     at decoder positions, given source and decoder ids   prefill (source), then step
========== ==================================================== ===========================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint

Ids = NDArray[np.int64]
Logits = NDArray[np.float32]

_COUNTED_FROM_PADDING = ("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer",
                         "mpnet", "data2vec-text")  # fmt: skip

CHUNK = 1024
"""Causal rows longer than this are scored in chunks through the KV cache, as servers prefill: neither the logits nor
the attention scores of a whole document are ever held at once."""


STORED_BITS = {"fp32": 32, "bf16": 16, "fp16": 16, "int8": 8, "int4": 4}
"""The types that weights are stored in, and their bits."""


@dataclass(frozen=True)
class Setup:
    """How a variant runs: the numbers it computes in, on ``cpu`` or ``cuda``, and on how many threads.

    ``trust_remote_code`` says that Python code which lies with the checkpoint may be run.
    """

    precision: str
    device: str = "cpu"
    threads: int = 1
    trust_remote_code: bool = False


@dataclass(frozen=True)
class Weights:
    """The weights that an engine loads, counted where they lie: what was really quantised, and what a step must read.

    ``elements`` are weights by the type that they are stored in (a key of STORED_BITS or the engine's own name),
    ``operators`` the matrix products with weights by the engine's name for them.
    """

    bytes_on_disk: int
    elements: Mapping[str, int] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    step_bytes: int = 0
    """Bytes of weights, scales included, that the matrix products of one decode step (masked: one encode) must read."""

    @property
    def quantised_share(self) -> float:
        """The share of the elements that are stored in integers."""
        integers = sum(count for kind, count in self.elements.items() if kind.startswith("int"))
        return integers / total if (total := sum(self.elements.values())) else 0.0


@dataclass(frozen=True)
class SessionFacts:
    """What a loaded variant is."""

    family: str
    vocabulary_size: int
    weights: Weights
    device: str
    positions: int | None
    """The longest input, in tokens; None where the architecture sets no limit."""


def longest_input(configuration: Mapping[str, Any], family: str) -> int | None:
    """Tokens that fit into a model, from its configuration; None where the architecture sets no limit (T5).

    RoBERTa and its kin count positions from behind their padding token on, so the first ones are never used.
    """
    if family == "seq2seq":
        return None
    positions = configuration.get("n_positions") or configuration.get("max_position_embeddings")
    if positions and configuration.get("model_type") in _COUNTED_FROM_PADDING:
        positions -= configuration.get("pad_token_id", 1) + 1
    return positions


@runtime_checkable
class Session(Protocol):
    """A variant loaded in memory, ready to score or generate. Rows of a batch are of one length; nothing marks padding,
    so only rows that are read from left to right may be filled up at their end."""

    @property
    def facts(self) -> SessionFacts:
        """What was loaded."""

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """Logits of the positions that are read, [count, vocabulary], in one piece or several that follow each other.

        ``ids`` is [batch, length]; a seq2seq model is scored at ``decoder_ids`` [batch, length] given ``ids``.
        ``read`` [count] are ascending indices into the flattened [batch * length]: row * length + position. No other
        logits are built where the engine can help it.
        """

    def prefill(self, ids: Ids, room: int) -> Logits:
        """Start a generation from a prompt (seq2seq: a source) [length]; logits [vocabulary] of the first new token.

        At most ``room`` steps follow, so that an engine with a cache of fixed size knows how large to make it.
        """

    def step(self, token: int) -> Logits:
        """Append a token to the generation; logits [vocabulary] of the next one."""

    def encode(self, ids: Ids) -> None:
        """Run ids [batch, length] through a masked model, up to and including its head, and wait for it."""

    def close(self) -> None:
        """Give back the memory."""


class Engine(Protocol):
    """A runtime: makes what it loads out of a checkpoint, and loads it."""

    def prepare(self, checkpoint: Checkpoint, setup: Setup, store: ArtefactStore) -> Path:
        """The folder that :meth:`open` loads, made from the checkpoint or taken from the cache.

        Raises UnavailableError where this machine or this engine cannot run the setup.
        """

    def open(self, folder: Path, family: str, setup: Setup) -> Session:
        """Load a prepared folder."""
