"""Trains one candidate: tokenizer, blocks, model, the loop, and the checkpoint folder that comes out."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from harness.candidates.spec import CandidateSpec, TrainingSpec
from harness.corpora.corpus import Corpus
from harness.corpora.corruption import IGNORED
from harness.corpora.packing import blocks as cut_blocks
from harness.corpora.packing import tokenize
from harness.errors import HarnessError
from harness.training.card import write_card
from harness.training.curve import CURVE, CurveWatch, Progress, TrainingRun
from harness.training.distillation import DistillationLoss
from harness.training.head import labelled
from harness.training.loop import Loop, Watch
from harness.training.losses import LossModel
from harness.training.models import build_model, published_model, start_at_unigram, start_from_teacher
from harness.training.objectives import BlockExamples, Objective
from harness.training.pruning import prune
from harness.training.tokenizers import train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

EVALUATION_MASK_SHARE = 0.15
EVALUATION_SEED = 0
EVALUATION_BATCH = 8
PROBES = 128
"""Blocks of the train split on which it is measured what a model needs least."""
ARGUMENTS = "training_arguments.json"


def train(
    spec: CandidateSpec, corpus: Corpus, folder: Path, progress: Progress, teacher: PreTrainedModel | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None, unfinished: Path | None = None,
) -> TrainingRun:  # fmt: skip
    """Train a candidate on the corpus's train split and save it to ``folder``.

    A distilled candidate takes its teacher's tokenizer and starts from its teacher's weights; a pruned one is its
    teacher without what that needs least, and is taught by it to recover. A run that was killed goes on from what it
    kept in ``unfinished``. Raises HarnessError when the corpus is too short for a block, when the loss
    stops being a number or rises far, and when a batch does not fit in memory.
    """
    recipe = spec.training
    if recipe is None or spec.architecture is None:
        raise HarnessError("a candidate that is not trained here has no recipe")
    torch.manual_seed(recipe.seed)
    if tokenizer is None:
        progress(0.0, "training the tokenizer")
        tokenizer = train_tokenizer(spec.architecture, [d.text for d in corpus.splits["train"]], spec.entries)
    progress(0.0, "tokenising")
    objective = Objective(spec.family, tokenizer, recipe.block_size, recipe.mask_share)
    ids = {split: tokenize(tokenizer, corpus.splits[split]).ids for split in ("train", "validation")}
    for split, stream in ids.items():
        if len(stream) < objective.content:
            raise HarnessError(
                f"corpus '{corpus.name}': the {split} split has {len(stream)} tokens, fewer than one block of "
                f"{objective.content}"
            )
    blocks = len(ids["train"]) // objective.content
    steps = step_count(recipe, blocks)
    counts = np.bincount(ids["train"], minlength=len(tokenizer))
    if teacher is not None and spec.pruning is not None:
        progress(0.0, "pruning")
        probes = frozen_batches(objective, ids["train"], PROBES)
        model, origin = prune(teacher, spec.pruning, probes), "what was kept of its teacher"
    else:
        model, origin = _initial(spec, tokenizer, counts, teacher)
    frozen = replace(objective, mask_share=EVALUATION_MASK_SHARE, content_only=True)
    validation = frozen_batches(frozen, ids["validation"], recipe.validation_blocks)
    step_tokens = recipe.batch_size * recipe.block_size
    result = TrainingRun(
        parameters=model.num_parameters(),
        tokens=steps * step_tokens,
        epoch_tokens=blocks * recipe.block_size,
        initialised_from=origin,
        unigram_loss=_unigram_loss(counts, validation),
        sample=sample_of(frozen, ids["validation"]),
    )
    distillation = DistillationLoss(teacher, spec.distillation) if teacher is not None else None
    examples = BlockExamples(
        objective, ids["train"], steps * recipe.batch_size, recipe.seed, recipe.shift_blocks, recipe.last_mask_share
    )
    watch = CurveWatch(result, steps, step_tokens, recipe.evaluations, progress)
    loss_model = LossModel(model, recipe.z_loss, distillation)
    try:
        Loop(loss_model, examples, recipe, steps, _watched(watch, validation), unfinished).run()
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise HarnessError(_too_large(recipe)) from error
        raise
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / ARGUMENTS).write_text(json.dumps(spec.as_description(), indent=1, sort_keys=True), encoding="utf-8")
    (folder / CURVE).write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
    write_card(folder, spec, corpus, result)
    return result


def step_count(recipe: TrainingSpec, blocks: int) -> int:
    """Optimiser steps of a budget on a train split of so many blocks."""
    wanted = recipe.tokens / recipe.block_size if recipe.tokens else (recipe.epochs or 0) * blocks
    return max(1, min(math.ceil(wanted / recipe.batch_size), recipe.max_steps or sys.maxsize))


def frozen_batches(objective: Objective, ids: NDArray[np.int64], count: int) -> list[dict[str, torch.Tensor]]:
    """Validation examples in batches: ``count`` blocks spread over the stream, or all for 0, with masks that are the
    same in every run."""
    found = cut_blocks(ids, objective.content)
    if count:
        found = found[:: max(1, len(found) // count)][:count]
    examples = BlockExamples(objective, found.reshape(-1), len(found), EVALUATION_SEED)
    return [
        examples.batch(range(start, min(start + EVALUATION_BATCH, len(found))))
        for start in range(0, len(found), EVALUATION_BATCH)
    ]


def validation_loss(model: LossModel, batches: list[dict[str, torch.Tensor]]) -> float:
    """The mean cross-entropy of frozen examples, in nats a labelled token."""
    device = next(model.parameters()).device
    model.eval()
    total = tokens = 0.0
    with torch.inference_mode():
        for batch in batches:
            here = {name: each.to(device) for name, each in batch.items()}
            total += float(model(**here))
            tokens += float(labelled(model.model, here["labels"]))
    model.train()
    return total / tokens


def sample_of(objective: Objective, ids: NDArray[np.int64]) -> dict[str, str]:
    """The first block of a stream as text, as the model sees it, and what it is asked for."""
    block = ids[: objective.content]
    tokenizer = objective.tokenizer
    example = objective.example(block, np.random.default_rng(EVALUATION_SEED))
    asked = example["labels"][example["labels"] != IGNORED]
    found = {"text": tokenizer.decode(block)}
    if objective.family != "causal":
        found |= {"seen": tokenizer.decode(example["input_ids"]), "asked": " | ".join(map(tokenizer.decode, asked))}
    return found


def _initial(
    spec: CandidateSpec, tokenizer: PreTrainedTokenizerFast, counts: NDArray[np.int64], teacher: PreTrainedModel | None
) -> tuple[PreTrainedModel, str]:
    """The model that training starts from, and where its weights are from."""
    published = spec.training is not None and spec.training.as_published
    model = published_model(spec, tokenizer) if published else build_model(spec, tokenizer)
    if teacher is not None:
        layers = start_from_teacher(model, teacher)
        return model, f"layers {', '.join(map(str, layers))} of its teacher"
    if not published:
        start_at_unigram(model, counts)
    return model, "random weights"


def _too_large(recipe: TrainingSpec) -> str:
    """What to do where a batch does not fit in memory."""
    finer = [parts for parts in range(recipe.accumulate + 1, recipe.batch_size + 1) if recipe.batch_size % parts == 0]
    words = (
        f"{recipe.batch_size // recipe.accumulate} blocks of {recipe.block_size} tokens at once do not fit in memory"
    )
    if not finer:
        return f"{words}; a smaller training.block_size, or a smaller model, may"
    return f"{words}; training.accumulate={finer[0]} computes a step in smaller parts"


def _watched(watch: CurveWatch, validation: list[dict[str, torch.Tensor]]) -> Watch:
    def validated(step: int, model: LossModel) -> None:
        watch.validated(step, validation_loss(model, validation))

    return Watch(watch.logged, watch.due, validated, watch.state, watch.restore)


def _unigram_loss(counts: NDArray[np.int64], validation: list[dict[str, torch.Tensor]]) -> float:
    """The validation loss of word frequencies: what a model that has learnt nothing else reaches. A seq2seq model also
    has to tell content from sentinels, so its baseline knows how often a position holds content."""
    log_frequencies = np.log((counts + 1) / (counts + 1).sum())
    labels = np.concatenate([batch["labels"].numpy().reshape(-1) for batch in validation])
    content = labels[labels != IGNORED]
    share = len(content) / len(labels) if "decoder_input_ids" in validation[0] else 1.0
    return float(-log_frequencies[content].mean() - math.log(share))
