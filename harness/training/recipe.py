"""Trains one candidate: tokenizer, blocks, model, the Trainer, and the checkpoint folder that comes out."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
    get_linear_schedule_with_warmup,
)

from harness.candidates.spec import CandidateSpec, TrainingSpec
from harness.corpora.corpus import Corpus
from harness.corpora.corruption import IGNORED
from harness.corpora.packing import blocks as cut_blocks
from harness.corpora.packing import tokenize
from harness.errors import HarnessError
from harness.training.curve import CURVE, CurveWatch, Progress, TrainingRun
from harness.training.distillation import DistillationLoss
from harness.training.models import build_model, start_at_unigram, start_from_teacher
from harness.training.objectives import BlockExamples, Objective
from harness.training.tokenizers import train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

EVALUATION_MASK_SHARE = 0.15
VALIDATION_BLOCKS = 64
LOGS = 50


def train(
    spec: CandidateSpec, corpus: Corpus, folder: Path, progress: Progress, teacher: PreTrainedModel | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
) -> TrainingRun:  # fmt: skip
    """Train a candidate on the corpus's train split and save it to ``folder``.

    A distilled candidate takes its teacher's tokenizer and starts from its teacher's weights. Raises HarnessError
    when the corpus is too short for a block or when the loss stops being a number.
    """
    recipe = spec.training
    if recipe is None or spec.architecture is None:
        raise HarnessError("a candidate that is not trained here has no recipe")
    torch.manual_seed(recipe.seed)
    if tokenizer is None:
        progress(0.0, "training the tokenizer")
        tokenizer = train_tokenizer(spec.architecture, [d.text for d in corpus.splits["train"]], spec.vocabulary)
    progress(0.0, "tokenising")
    objective = Objective(spec.family, tokenizer, recipe.block_size, recipe.mask_share)
    ids = {split: tokenize(tokenizer, corpus.splits[split]).ids for split in ("train", "validation")}
    blocks = {split: cut_blocks(stream, objective.content) for split, stream in ids.items()}
    for split, found in blocks.items():
        if not len(found):
            raise HarnessError(
                f"corpus '{corpus.name}': the {split} split has {len(ids[split])} tokens, fewer than one block of "
                f"{objective.content}"
            )
    counts = np.bincount(ids["train"], minlength=len(tokenizer))
    model = build_model(spec, tokenizer)
    if teacher is not None:
        layers = start_from_teacher(model, teacher)
        origin = f"layers {', '.join(map(str, layers))} of its teacher"
    else:
        start_at_unigram(model, counts)
        origin = "random weights"
    frozen = replace(objective, mask_share=EVALUATION_MASK_SHARE, content_only=True)
    validation = _frozen_examples(frozen, blocks["validation"], recipe.seed)
    result = TrainingRun(model.num_parameters(), recipe.tokens, origin, _unigram_loss(counts, validation))
    with tempfile.TemporaryDirectory() as scratch:
        trainer = _trainer(model, objective, blocks["train"], recipe, Path(scratch))
        if teacher is not None:
            trainer.distillation = DistillationLoss(teacher, spec.distillation)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_Callback(CurveWatch(result, recipe, progress), validation))
        trainer.train()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / CURVE).write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
    return result


class _RecipeTrainer(Trainer):  # type: ignore[misc]
    """The Trainer, taking examples in the order that the data set defines, with an optional distillation loss."""

    distillation: DistillationLoss | None = None

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        if self.distillation is None:
            return super().compute_loss(model, inputs, return_outputs=return_outputs, **kwargs)
        return self.distillation(model, inputs)


def _trainer(
    model: PreTrainedModel, objective: Objective, blocks: NDArray[np.int64], recipe: TrainingSpec, scratch: Path
) -> _RecipeTrainer:
    steps = max(1, math.ceil(recipe.tokens / (recipe.batch_size * recipe.block_size)))
    optimizer = torch.optim.AdamW(
        _parameter_groups(model, recipe.weight_decay), lr=recipe.learning_rate, betas=(0.9, recipe.beta2), fused=True
    )
    schedule = get_linear_schedule_with_warmup(optimizer, max(1, round(recipe.warmup * steps)), steps)
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=steps,
        use_cpu=True,
        per_device_train_batch_size=recipe.batch_size,
        max_grad_norm=recipe.clip_norm,
        seed=recipe.seed,
        logging_steps=max(1, steps // LOGS),
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    return _RecipeTrainer(
        model=model,
        args=arguments,
        train_dataset=BlockExamples(objective, blocks, steps * recipe.batch_size, recipe.seed),
        data_collator=default_data_collator,
        optimizers=(optimizer, schedule),
    )


def _parameter_groups(model: PreTrainedModel, decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices only: biases and normalisation scales are left alone."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def _frozen_examples(objective: Objective, blocks: NDArray[np.int64], seed: int) -> dict[str, torch.Tensor]:
    """A batch of validation examples, spread over the split, with masks that stay the same."""
    chosen = blocks[:: max(1, len(blocks) // VALIDATION_BLOCKS)][:VALIDATION_BLOCKS]
    count = len(chosen)
    examples = BlockExamples(objective, chosen, count, seed)
    collated: dict[str, torch.Tensor] = default_data_collator([examples[i] for i in range(count)])
    return collated


def _unigram_loss(counts: NDArray[np.int64], validation: dict[str, torch.Tensor]) -> float:
    """The validation loss of word frequencies: what a model that has learnt nothing else reaches. A seq2seq model also
    has to tell content from sentinels, so its baseline knows how often a position holds content."""
    log_frequencies = np.log((counts + 1) / (counts + 1).sum())
    labels = validation["labels"].numpy()
    content = labels[labels != IGNORED]
    decoder = validation.get("decoder_input_ids")
    share = len(content) / decoder.numel() if decoder is not None else 1.0
    return float(-log_frequencies[content].mean() - math.log(share))


class _Callback(TrainerCallback):  # type: ignore[misc]
    """Hands the Trainer's events to a watch over the curve, and takes the frozen validation loss."""

    def __init__(self, watch: CurveWatch, validation: dict[str, torch.Tensor]) -> None:
        self.watch, self.validation = watch, validation

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        self.watch.logged(state.global_step, state.max_steps, logs or {})

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if not self.watch.validation_due(state.global_step, state.max_steps):
            return
        batches = {key: torch.split(tensor, 8) for key, tensor in self.validation.items()}
        rows = [len(part) for part in batches["labels"]]
        model.eval()
        with torch.inference_mode():
            losses = [model(**{k: parts[i] for k, parts in batches.items()}).loss.item() for i in range(len(rows))]
        model.train()
        loss = float(np.average(losses, weights=rows))
        self.watch.run.validation.append({"tokens": self.watch.tokens(state.global_step), "loss": loss})
