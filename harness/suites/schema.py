"""The keys of a suite file. Every key here is documented in docs/suites.md, and a test keeps it so."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.candidates.catalogue import shipped_candidates
from harness.candidates.spec import CandidateSpec, Description, Family, TrainingSpec
from harness.errors import nearest
from harness.records.metrics import METRICS
from harness.selection.limits import parse_bytes, parse_limit
from harness.selection.thresholds import check_thresholds

Count = Annotated[int, Field(ge=1)]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KIND = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
KIND_LABEL = "harness-machine"
"""The label of a cluster's nodes that names their kind, where a suite gives the kind no labels."""


class Evaluation(Description):
    """How quality is scored."""

    split: Literal["validation", "test"] = "test"
    excerpt_bytes: int = Field(default=0, ge=0, description="bytes taken from the middle of each document; 0 is all")
    protocol: Literal["block", "sliding", "lm-eval", "llama.cpp"] = Field("block", description="of causal perplexity")
    block_size: int = Field(default=128, ge=0, le=1 << 20, description="tokens a window; 0 is the model's longest")
    stride: int = Field(default=0, ge=0, description="protocol 'sliding': tokens between windows; 0 is half a window")
    batch_size: int = Field(default=8, ge=1, le=1024, description="windows scored at once")
    mask_share: float = Field(default=0.15, gt=0, lt=1, description="share of tokens masked or corrupted")
    mask_seed: int = Field(default=0, ge=0, description="freezes masks and spans")

    @field_validator("block_size")
    @classmethod
    def _enough_for_a_window(cls, value: int) -> int:
        if 0 < value < 8:
            raise ValueError("expected 8 tokens or more, or 0 for the model's longest input")
        return value

    @model_validator(mode="after")
    def _stride_within_the_window(self) -> Evaluation:
        if self.block_size and self.stride > self.block_size:
            raise ValueError(f"stride {self.stride} is longer than block_size {self.block_size}")
        return self


class Items(Description):
    """Questions that are the same for every candidate, whatever its family."""

    continuations: int = Field(default=50, ge=0, description="texts to continue; 0 leaves them out")
    clozes: int = Field(default=100, ge=0, description="words to fill in; 0 leaves them out")
    choices: int = Field(default=60, ge=0, description="pairs of sentences; 0 leaves them out")
    context_words: int = Field(default=24, ge=1, le=100_000, description="words before a continuation or a cloze")
    continuation_words: int = Field(default=8, ge=1, le=100_000, description="words to continue")
    right_words: int = Field(
        default=12, ge=1, le=100_000, description="words after a cloze, where both sides are given"
    )
    seed: int = Field(default=0, ge=0, description="deals the items")
    blimp: str = Field(default="", description="BLiMP's folder or zip, or 'hub'; empty leaves it out")
    blimp_pairs: int = Field(default=0, ge=0, description="pairs of each of its paradigms; 0 takes all")


class TimingKeys(Description):
    """How speed is timed."""

    prompt_tokens: int = Field(default=128, ge=1, description="P: tokens of the prompt, or of one encoded text")
    new_tokens: int = Field(default=64, ge=2, description="N: tokens decoded")
    batch_size: int = Field(default=8, ge=1, description="texts in the batched encode workload")
    readings: int = Field(default=3, ge=1, description="readings a worker takes")
    reading_seconds: float = Field(default=0.1, gt=0, description="shortest reading")
    warmup_seconds: float = Field(default=1.0, ge=0, description="longest warm-up after the first pass")
    budget_seconds: float = Field(default=10.0, gt=0, description="no further reading is begun after this")
    sweep_prompt_tokens: tuple[Count, ...] = Field(default=(), description="further prompt lengths, batch 1")
    sweep_batch_sizes: tuple[Count, ...] = Field(default=(), description="further batches, masked models only")


class Deadlines(Description):
    """Seconds after which a task's worker is killed."""

    prepare: float = Field(default=3600, gt=0)
    score: float = Field(default=900, gt=0)
    time: float = Field(default=300, gt=0)


def _bytes(value: Any) -> Any:
    return parse_bytes(value) if isinstance(value, str) else value


Memory = Annotated[Count | None, BeforeValidator(_bytes)]


class MemoryLimits(Description):
    """Memory that a task may take over what its worker begins with: bytes, or an amount such as ``2 GiB``."""

    prepare: Memory = None
    score: Memory = None
    time: Memory = None


class MachineKind(Description):
    """A kind of machine that variants ask for."""

    labels: dict[str, str] = Field(default_factory=dict, description="of its nodes; none is harness-machine = NAME")


class Generation(Description):
    """The sample texts of a report."""

    prompt: str = Field(default="Fellow citizens, the state of the Union", min_length=1)
    masked_prompt: str = Field(default="The people of the United <mask> want peace and <mask>.", min_length=1)
    new_tokens: int = Field(default=40, ge=1, le=1024)

    @field_validator("masked_prompt")
    @classmethod
    def _has_mask(cls, value: str) -> str:
        if "<mask>" not in value:
            raise ValueError("expected at least one <mask>")
        return value


class UseCase(Description):
    """What somebody needs: families that can do it, limits to keep, and the metric, or the weighed metrics, to be best
    at."""

    title: str = Field(min_length=1)
    families: tuple[Family, ...] = Field(min_length=1)
    objective: str = Field(default="", description="the metric to be best at")
    weights: dict[str, float] = Field(default_factory=dict, description="or several, and what each counts")
    tie_breakers: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @field_validator("objective", "weights", "tie_breakers")
    @classmethod
    def _known_metrics(cls, value: Any) -> Any:
        rankable = [name for name, metric in METRICS.items() if metric.higher_is_better is not None]
        for name in filter(None, [value] if isinstance(value, str) else value):
            if name not in rankable:
                hint = nearest(name, rankable) if name not in METRICS else ""
                hint = hint if "did you mean" in hint else ""
                raise ValueError(f"'{name}' is not a metric that can be ranked{hint}; see: harness list metrics")
        return value

    @field_validator("weights")
    @classmethod
    def _positive(cls, value: dict[str, float]) -> dict[str, float]:
        for name, weight in value.items():
            if not 0 < weight < math.inf:
                raise ValueError(f"{name}: expected a weight above 0, got {weight:g}")
        return value

    @field_validator("limits")
    @classmethod
    def _limits_parse(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for limit in value:
            parse_limit(limit)
        return value

    @model_validator(mode="after")
    def _objective_or_weights(self) -> UseCase:
        if bool(self.objective) == bool(self.weights):
            raise ValueError("expected 'objective' or 'weights', " + ("not both" if self.objective else "found none"))
        return self


class Suite(Description):
    """A suite file."""

    title: str = ""
    corpus: str = "sotu"
    candidates: tuple[str, ...] = Field(min_length=1)
    variants: tuple[str, ...] = Field(min_length=1, description="ENGINE/PRECISION[/DEVICE][@KIND]")
    skip: tuple[str, ...] = Field(default=(), description="patterns of variants to leave out")
    device: Literal["cpu", "cuda"] = Field("cpu", description="of the variants that name none")
    rounds: int = Field(default=6, ge=1, le=1000, description="fresh timing workers a variant")
    threads: int | None = Field(default=None, ge=1, le=1024, description="threads of every engine; default all cores")
    seed: int = Field(default=0, ge=0, description="orders the rounds")
    evaluation: Evaluation = Evaluation()
    items: Items = Items()
    timing: TimingKeys = TimingKeys()
    deadlines: Deadlines = Deadlines()
    memory_limits: MemoryLimits = MemoryLimits()
    machines: dict[str, MachineKind] = Field(default_factory=dict, description="kinds of machine, by name")
    generation: Generation = Generation()
    training: dict[str, Any] = Field(default_factory=dict, description="keys over those of every trained candidate")
    candidate: dict[str, CandidateSpec] = Field(default_factory=dict)
    use_case: tuple[UseCase, ...] = ()
    thresholds: dict[str, float] = Field(default_factory=dict, description="metric: the least change that matters")

    @field_validator("use_case")
    @classmethod
    def _titles_once(cls, value: tuple[UseCase, ...]) -> tuple[UseCase, ...]:
        for title, count in Counter(case.title for case in value).items():
            if count > 1:
                raise ValueError(f"two use cases have the title '{title}'")
        return value

    @field_validator("thresholds")
    @classmethod
    def _thresholds_of_metrics(cls, value: dict[str, float]) -> dict[str, float]:
        return check_thresholds(value)

    @field_validator("training")
    @classmethod
    def _keys_of_training(cls, value: dict[str, Any]) -> dict[str, Any]:
        known = [key for key in TrainingSpec.model_fields if key != "recipe"]
        for key in value:
            if key not in known:
                raise ValueError(f"unknown key '{key}'{nearest(key, known)}")
        return value

    @field_validator("candidate")
    @classmethod
    def _plain_names(cls, value: dict[str, CandidateSpec]) -> dict[str, CandidateSpec]:
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' is not a name: letters, digits, '.', '_' and '-', a letter or digit first")
        return value

    @field_validator("candidates", "variants")
    @classmethod
    def _no_repeats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name, count in Counter(value).items():
            if count > 1:
                raise ValueError(f"'{name}' is named twice")
        return value

    @field_validator("variants")
    @classmethod
    def _plain_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for variant in value:
            _, at, kind = variant.partition("@")
            if at and not _KIND.fullmatch(kind):
                letters = "up to 32 small letters, digits, '_' and '-', a letter or digit first"
                raise ValueError(f"'{variant}': expected a kind of machine after '@': {letters}")
        return value

    @property
    def kinds(self) -> dict[str, dict[str, str]]:
        """The labels of the nodes of each kind of machine that variants ask for, in order."""
        named = dict.fromkeys(filter(None, (variant.partition("@")[2] for variant in self.variants)))
        return {kind: self.machines.get(kind, MachineKind()).labels or {KIND_LABEL: kind} for kind in named}

    @model_validator(mode="after")
    def _machines_asked_for(self) -> Suite:
        for name in self.machines:
            if name not in self.kinds:
                hint = nearest(name, self.kinds)
                raise ValueError(f"[machines.{name}] is described, but no variant asks for it{hint}")
        return self

    @model_validator(mode="after")
    def _own_candidates_used(self) -> Suite:
        teachers = {spec.teacher for spec in {**shipped_candidates(), **self.candidate}.values()}
        for name in self.candidate:
            if name not in self.candidates and name not in teachers:
                raise ValueError(f"[candidate.{name}] is described, but not named in 'candidates'")
        return self
