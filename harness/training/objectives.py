"""What each family is trained on: an example made from a block, and the loss of a batch of examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from harness.corpora.corruption import IGNORED, MEAN_SPAN, corrupt_spans, mask_tokens, sentinel_ids

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


class BlockExamples(Dataset[dict[str, torch.Tensor]]):
    """A fixed number of training examples over blocks, reshuffled every epoch and masked afresh.

    Example ``i`` is a pure function of the seed and ``i``, so a run can stop and go on anywhere.
    """

    def __init__(self, objective: Objective, blocks: NDArray[np.int64], count: int, seed: int) -> None:
        self.objective, self.blocks, self.count, self.seed = objective, blocks, count, seed
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        epoch, position = divmod(index, len(self.blocks))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.seed, epoch]).permutation(len(self.blocks))
        rng = np.random.default_rng([self.seed, 1, index])
        example = self.objective.example(self.blocks[self._order[position]], rng)
        return {name: torch.from_numpy(np.ascontiguousarray(ids)) for name, ids in example.items()}
