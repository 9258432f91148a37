"""The model card of a checkpoint that was trained here, as the Hugging Face hub reads it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from harness.candidates.spec import CandidateSpec
from harness.corpora.corpus import Corpus
from harness.language.markup import code, plain
from harness.training.curve import TrainingRun, conclusions

CARD = "README.md"
_TASKS = {"causal": "text-generation", "masked": "fill-mask", "seq2seq": "text2text-generation"}
_PERPLEXITIES = {
    "causal": "perplexity a token",
    "masked": "perplexity of masked tokens",
    "seq2seq": "perplexity of tokens in corrupted spans",
}


def write_card(folder: Path, spec: CandidateSpec, corpus: Corpus, run: TrainingRun) -> None:
    """Write ``README.md``: the measured perplexity as ``model-index``, how the model was made, its curve in words."""
    (folder / CARD).write_text(model_card(spec, corpus, run), encoding="utf-8")


def model_card(spec: CandidateSpec, corpus: Corpus, run: TrainingRun) -> str:
    """The card as Markdown with YAML metadata."""
    title = spec.title or f"{spec.architecture} from scratch"
    perplexity = math.exp(run.validation[-1]["loss"])
    result = EvalResult(
        task_type=_TASKS[spec.family],
        dataset_type=corpus.name,
        dataset_name=corpus.name,
        dataset_split="validation",
        metric_type="perplexity",
        metric_name=_PERPLEXITIES[spec.family],
        metric_value=round(perplexity, 4),
    )
    about = ModelCardData(
        model_name=title,
        eval_results=[result],
        library_name="transformers",
        pipeline_tag=_TASKS[spec.family],
        tags=["from-scratch" if spec.origin == "trained" else spec.origin],
    )
    recipe = spec.training.model_dump(exclude_none=True) if spec.training else {}
    lines = [
        f"# {plain(title)}",
        f"A {spec.architecture} of {run.parameters:,} parameters, starting from {run.initialised_from}, trained on "
        f"{run.tokens:,} tokens of {code(corpus.name)} ({plain(corpus.note or 'text')}).",
        f"Validation {_PERPLEXITIES[spec.family]}: **{perplexity:,.2f}**. It depends on the tokenizer, and is not to "
        "be compared with that of a model with another one, nor with that of another objective.",
        *conclusions({"validation": run.validation, "unigram_loss": run.unigram_loss}),
        "## Recipe",
        _list(recipe),
        *(["## Shape", _list(spec.shape)] if spec.shape else []),
    ]
    return f"---\n{about.to_yaml()}\n---\n\n" + "\n\n".join(lines) + "\n"


def _list(table: dict[str, Any]) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in table.items())
