"""The metadata of a model card as the Hugging Face hub reads it: what the model is, and its results as ``model-index``.

Metadata is for programs, so it is the same in every language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from typing import TYPE_CHECKING, Any

from harness.records.metrics import METRICS, PERPLEXITY
from harness.records.rows import Row

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_TASKS = {"causal": "text-generation", "masked": "fill-mask", "seq2seq": "text2text-generation"}
_BLIMP: dict[str, Any] = {"dataset_type": "nyu-mll/blimp", "dataset_name": "BLiMP", "dataset_split": "train"}
_BESIDE_ITSELF = ("batched_perplexity",)
"""Measures that compare a variant with itself, so they say nothing of the model."""
_PLACES = 4
"""Decimals of values."""
_PROJECT_URLS = ("source", "repository", "homepage")


@dataclass(frozen=True)
class Facts:
    """What the metadata says: ``name`` is the candidate's title, ``teacher`` empty where it has none, ``checkpoint``
    the row that its quality is told of, None where nothing was measured. ``info`` is what ``run.json`` says."""

    name: str
    family: str
    origin: str
    teacher: str
    checkpoint: Row | None
    info: Mapping[str, Any]


def metadata_block(facts: Facts) -> str:
    """The YAML block that a card begins with, its fences included."""
    from huggingface_hub import ModelCardData

    results = eval_results(facts)
    about = ModelCardData(
        model_name=facts.name if results else None,
        eval_results=results or None,
        library_name="transformers",
        pipeline_tag=_TASKS[facts.family],
        tags=["from-scratch" if facts.origin == "trained" else facts.origin, "harness"],
        base_model=facts.teacher if _is_repository(facts.teacher) else None,
    )
    return f"---\n{about.to_yaml()}\n---"


def eval_results(facts: Facts) -> list[EvalResult]:
    """A result for each quality metric of the checkpoint; none where nothing was measured, and none of random weights,
    which have learnt nothing. The protocol and the 95 % interval stand in ``metric_args``."""
    from huggingface_hub import EvalResult

    row = facts.checkpoint
    if row is None or facts.origin == "random":
        return []
    corpus, source = _corpus(facts.info), _source(facts.info)
    return [
        EvalResult(
            task_type=_TASKS[facts.family],
            **(_BLIMP if name == "blimp_accuracy" else corpus),
            metric_type=_metric_type(name),
            metric_name=METRICS[name].title,
            metric_value=round(row.metrics[name].estimate.value, _PLACES),
            metric_args=_arguments(row, name),
            **source,
        )
        for name in quality_metrics(row)
    ]


def quality_metrics(row: Row) -> list[str]:
    """The names of the metrics that say how good a model is; none that hold a variant against its parent, and not the
    baselines of word frequencies."""
    return [
        name
        for name in METRICS
        if name in row.metrics
        and METRICS[name].measure == "quality"
        and METRICS[name].higher_is_better is not None
        and name not in _BESIDE_ITSELF
    ]


def _metric_type(name: str) -> str:
    """What the hub calls a metric: perplexity and accuracy, which it knows, else our own name."""
    if name in PERPLEXITY.values():
        return "perplexity"
    return "accuracy" if "_accuracy" in name else name


def _arguments(row: Row, name: str) -> dict[str, Any]:
    value = row.metrics[name]
    low, high = value.estimate.low, value.estimate.high
    if low is None or high is None:
        return dict(value.protocol)
    return {**value.protocol, "interval_95": [round(low, _PLACES), round(high, _PLACES)]}


def _corpus(info: Mapping[str, Any]) -> dict[str, Any]:
    corpus, evaluation = info.get("corpus", {}), info.get("suite", {}).get("evaluation", {})
    name = str(corpus.get("name", "unknown"))
    sizes = {"excerpt_bytes": evaluation["excerpt_bytes"]} if evaluation.get("excerpt_bytes") else {}
    found = {"hash": corpus["hash"], **sizes} if "hash" in corpus else sizes
    return {
        "dataset_type": name,
        "dataset_name": name,
        "dataset_split": evaluation.get("split"),
        "dataset_args": found or None,
    }


def _source(info: Mapping[str, Any]) -> dict[str, Any]:
    """Who says so: this program by version and commit, where the installed package names an address; the hub takes no
    source without one."""
    environment = info.get("environment", {})
    version = environment.get("versions", {}).get("harness", "")
    addresses = _project_addresses()
    address = next((addresses[label] for label in _PROJECT_URLS if label in addresses), "")
    words = " ".join(filter(None, ["harness", version, environment.get("commit", "")]))
    return {"source_name": words, "source_url": address} if address else {}


def _project_addresses() -> dict[str, str]:
    """The addresses that the installed package names, by label in small letters."""
    try:
        listed = metadata("harness").get_all("Project-URL") or []
    except PackageNotFoundError:  # run from a checkout that was never installed
        return {}
    pairs = [each.partition(",") for each in listed]
    return {label.strip().lower(): address.strip() for label, _, address in pairs}


def _is_repository(name: str) -> bool:
    """Whether the hub could have a repository of that name; it refuses a card whose ``base_model`` cannot be one."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return bool(name)
