"""What each family is trained on: an example made from a block, and the loss of a batch of examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from harness.corpora.corruption import IGNORED, MEAN_SPAN, corrupt_spans, mask_tokens, sentinel_ids
from harness.corpora.packing import blocks
from harness.errors import HarnessError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Objective:
    """Next token, masked tokens or corrupted spans, for one tokenizer.

    ``block_size`` counts all tokens that the model sees, special ones included; ``content`` those taken from text.
    With ``content_only`` the loss of a seq2seq model leaves out sentinels, which are easy, as its span perplexity does.
    """

    family: str
    tokenizer: PreTrainedTokenizerFast
    block_size: int
    mask_share: float
    content_only: bool = False

    @property
    def content(self) -> int:
        """Tokens of text in a block."""
        return self.block_size - (2 if self.family == "masked" else 0)

    def example(self, block: NDArray[np.int64], rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
        """Inputs and labels of one block; masks and spans are drawn from ``rng``."""
        if self.family == "causal":
            return {"input_ids": block, "labels": block}
        if self.family == "masked":
            masked = mask_tokens(block, rng, self.mask_share, self.tokenizer.mask_token_id, len(self.tokenizer))
            cls, sep = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
            return {
                "input_ids": np.concatenate([[cls], masked.ids, [sep]]),
                "labels": np.concatenate([[IGNORED], masked.labels, [IGNORED]]),
            }
        corrupted = corrupt_spans(
            block, rng, self.mask_share, MEAN_SPAN, sentinel_ids(self.tokenizer), self.tokenizer.eos_token_id
        )
        start = np.asarray([self.tokenizer.pad_token_id])
        return {
            "input_ids": corrupted.source,
            "decoder_input_ids": np.concatenate([start, corrupted.target[:-1]]),
            "labels": np.where(corrupted.origin >= 0, corrupted.target, IGNORED)
            if self.content_only
            else corrupted.target,
        }


class BlockExamples:
    """Training examples over a stream of tokens, cut into blocks that are reshuffled every epoch and masked afresh.

    Example ``i`` of ``count`` is a pure function of the seed and ``i``, so a run can stop and go on anywhere, and
    several processes can share a step. With ``shift`` every epoch cuts its blocks at another offset, which costs one
    block; the mask share goes from the objective's to ``last_mask_share`` on the way. Raises HarnessError for a stream
    that is shorter than a block.
    """

    def __init__(
        self, objective: Objective, ids: NDArray[np.int64], count: int, seed: int, shift: bool = False,
        last_mask_share: float | None = None,
    ) -> None:  # fmt: skip
        self.objective, self.ids, self.count, self.seed = objective, ids, count, seed
        self.shift, self.last_mask_share = shift and len(ids) >= 2 * objective.content, last_mask_share
        if len(ids) < objective.content:
            raise HarnessError(f"{len(ids)} tokens are fewer than one block of {objective.content}")
        self._epoch, self._blocks = -1, np.zeros((0, 0), dtype=np.int64)

    @property
    def epoch_size(self) -> int:
        """Blocks an epoch."""
        return len(self.ids) // self.objective.content - self.shift

    def __getitem__(self, index: int) -> dict[str, NDArray[np.int64]]:
        epoch, position = divmod(index, self.epoch_size)
        if epoch != self._epoch:
            self._epoch, self._blocks = epoch, self._cut(epoch)
        objective = self.objective
        if self.last_mask_share is not None:
            share = objective.mask_share + (self.last_mask_share - objective.mask_share) * index / max(1, self.count)
            objective = replace(objective, mask_share=share)
        return objective.example(self._blocks[position], np.random.default_rng([self.seed, 1, index]))

    def batch(self, indices: Iterable[int]) -> dict[str, torch.Tensor]:
        """Several examples of one length, [batch, length] each."""
        examples = [self[index] for index in indices]
        return {name: torch.from_numpy(np.stack([each[name] for each in examples])) for name in examples[0]}

    def _cut(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self.seed, epoch])
        size = self.objective.content
        start = int(rng.integers(size)) if self.shift else 0
        found: NDArray[np.int64] = blocks(self.ids[start:], size)[: self.epoch_size]
        return found[rng.permutation(len(found))]
