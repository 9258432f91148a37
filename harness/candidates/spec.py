"""What a candidate is, as a user writes it in a suite or as the catalogue ships it.

These models only describe; nothing here imports torch or reads weights.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.errors import nearest

Family = Literal["causal", "masked", "seq2seq"]
Architecture = Literal["gpt2", "bert", "distilbert", "t5"]

FAMILY_OF: dict[Architecture, Family] = {"gpt2": "causal", "bert": "masked", "distilbert": "masked", "t5": "seq2seq"}


class Description(BaseModel):
    """A strict, frozen table of a TOML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingSpec(Description):
    """How a candidate is trained. The budget is tokens or epochs, so that the result does not depend on the machine."""

    recipe: str | None = Field(default=None, description="a named recipe, whose keys stand where none is given here")
    tokens: int | None = Field(default=None, gt=0, description="budget: training tokens seen")
    epochs: float | None = Field(default=None, gt=0, description="budget: passes over the corpus's train split")
    max_steps: int | None = Field(default=None, ge=1, description="steps at most, whatever the budget")
    as_published: bool = Field(default=False, description="dropout, activation, tied head and vocabulary as published")
    block_size: int = Field(default=128, ge=8, le=4096, description="tokens a block")
    batch_size: int = Field(default=4, ge=1, description="blocks a step, over all processes")
    accumulate: int = Field(default=1, ge=1, description="parts that a step's batch is computed in, to save memory")
    optimizer: Literal["adamw", "muon"] = Field(default="adamw", description="muon: of hidden matrices, AdamW else")
    learning_rate: float = Field(default=2e-3, gt=0, description="peak learning rate")
    schedule: Literal["linear", "cosine"] = Field(default="linear", description="how it falls to 0 after the warm-up")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of steps that warm up")
    beta2: float = Field(default=0.95, gt=0, lt=1, description="AdamW's second-moment decay")
    weight_decay: float = Field(default=0.1, ge=0, description="decoupled weight decay of matrices")
    clip_norm: float = Field(default=1.0, gt=0, description="gradient norm above which gradients are scaled down")
    average: float = Field(default=0.0, ge=0, lt=1, description="decay of an exponential average of weights; 0 is none")
    z_loss: float = Field(default=0.0, ge=0, description="weight of the squared log of the softmax's denominator")
    shift_blocks: bool = Field(default=False, description="cut blocks at another offset every epoch")
    mask_share: float = Field(default=0.15, gt=0, lt=1, description="share of tokens masked or corrupted")
    last_mask_share: float | None = Field(default=None, gt=0, lt=1, description="that at the end, approached linearly")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="of matrix products; weights stay in fp32")
    seed: int = Field(default=0, ge=0)
    evaluations: int = Field(default=4, ge=1, description="validation losses taken along the way")
    validation_blocks: int = Field(default=64, ge=0, description="blocks that they are taken on; 0 is all")

    @model_validator(mode="after")
    def _one_budget(self) -> TrainingSpec:
        if (self.tokens is None) == (self.epochs is None):
            raise ValueError("expected exactly one of 'tokens' and 'epochs'")
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of accumulate {self.accumulate}")
        return self


@cache
def recipes() -> dict[str, dict[str, Any]]:
    """The named recipes; the keys of a family stand in a table of its own."""
    return tomllib.loads((files("harness.candidates") / "recipes.toml").read_text(encoding="utf-8"))


def with_recipe(training: dict[str, Any], family: object) -> dict[str, Any]:
    """The keys of ``training`` over those of the recipe that it names. Raises ValueError for an unknown one."""
    name = training.get("recipe")
    if not isinstance(name, str):
        return training
    if name not in recipes():
        raise ValueError(f"unknown recipe '{name}'{nearest(name, recipes())}")
    common = {key: value for key, value in recipes()[name].items() if not isinstance(value, dict)}
    found = {**common, **recipes()[name].get(str(family), {}), **training}
    if "tokens" in training and "epochs" not in training:
        found.pop("epochs", None)
    return found


class DistillationSpec(Description):
    """Weights of the distillation loss; the defaults are DistilBERT's (Sanh et al. 2019, section 3)."""

    temperature: float = Field(default=2.0, gt=0)
    soft: float = Field(
        default=5.0, ge=0, description="KL divergence to the teacher at the temperature, times T squared"
    )
    hard: float = Field(default=2.0, ge=0, description="cross-entropy on the data")
    cosine: float = Field(default=1.0, ge=0, description="cosine distance of the last hidden states")


class PruningSpec(Description):
    """What is taken out of every layer: the shares of attention heads and feed-forward neurons that matter least."""

    heads: float = Field(default=0.0, ge=0, lt=1)
    neurons: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _something(self) -> PruningSpec:
        if not self.heads and not self.neurons:
            raise ValueError("expected a share of 'heads' or 'neurons'")
        return self


class WheelSpec(Description):
    """A file inside a wheel of a package index, identified by its hash."""

    requirement: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*==[A-Za-z0-9_.]+$", description="NAME==VERSION")
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[A-Za-z0-9][\w./-]*)?", re.ASCII)
"""Names that are made into paths and addresses: no empty part, none that begins with a dot or a dash."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

DEFAULT_ENTRIES = 4096
"""Of a tokenizer where 'vocabulary' is not given."""


class CandidateSpec(Description):
    """One candidate. ``origin`` decides which of the other keys are needed."""

    origin: Literal["published", "trained", "distilled", "pruned", "random"]
    family: Family
    title: str = ""
    # published
    hub: str | None = Field(default=None, description="repository of the Hugging Face hub, NAME or NAME@REVISION")
    path: str | None = Field(default=None, description="local checkpoint folder")
    wheel: WheelSpec | None = None
    trust_remote_code: bool = Field(default=False, description="run Python code that lies with the checkpoint")
    # trained, distilled, pruned and random
    architecture: Architecture | None = None
    shape: dict[str, int] = Field(default_factory=dict, description="keys of the architecture's configuration")
    vocabulary: int | None = Field(
        default=None, ge=300, le=60000, description="entries of the tokenizer trained with it"
    )
    training: TrainingSpec | None = None
    teacher: str | None = Field(default=None, description="the candidate that this one is distilled or pruned from")
    distillation: DistillationSpec = DistillationSpec()
    pruning: PruningSpec | None = None
    # random
    seed: int | None = Field(default=None, ge=0, description="draws random weights; 0 where it is not given")

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_recipe(cls, table: Any) -> Any:
        if isinstance(table, dict) and isinstance(table.get("training"), dict):
            return {**table, "training": with_recipe(table["training"], table.get("family"))}
        return table

    @field_validator("hub")
    @classmethod
    def _name_of_the_hub(cls, value: str | None) -> str | None:
        if value is not None and (not _HUB.fullmatch(value) or ".." in value or "//" in value):
            raise ValueError(f"{value!r} is no repository of the hub: expected NAME or NAME@REVISION")
        return value

    @field_validator("path")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value is not None and (not value or _CONTROL.search(value)):
            raise ValueError(f"{value!r} is no folder: expected a path on one line")
        return value

    @model_validator(mode="after")
    def _complete(self) -> CandidateSpec:
        if self.trust_remote_code and (self.origin != "published" or self.wheel):
            raise ValueError("'trust_remote_code' goes with 'hub' and 'path': nothing else has code of its own")
        if self.origin == "published":
            if sum(source is not None for source in (self.hub, self.path, self.wheel)) != 1:
                raise ValueError("a published candidate needs exactly one of 'hub', 'path' and 'wheel'")
            return self
        if self.origin == "random":
            if self.architecture is None or self.training is not None:
                raise ValueError("a random candidate needs 'architecture' and takes no 'training'")
        elif self.architecture is None or self.training is None:
            raise ValueError(f"a {self.origin} candidate needs 'architecture' and 'training'")
        if FAMILY_OF[self.architecture] != self.family:
            raise ValueError(f"architecture '{self.architecture}' is of family '{FAMILY_OF[self.architecture]}'")
        if self.family == "seq2seq" and self.training and self.training.last_mask_share:
            raise ValueError("'last_mask_share' would give the examples of a seq2seq batch different lengths")
        if (self.teacher is not None) != (self.origin in ("distilled", "pruned")):
            raise ValueError("'teacher' goes with origins 'distilled' and 'pruned', and only with them")
        if (self.pruning is not None) != (self.origin == "pruned"):
            raise ValueError("'pruning' goes with origin 'pruned', and only with it")
        if self.origin == "pruned" and self.shape:
            raise ValueError("a pruned candidate takes its teacher's 'shape'")
        if self.seed is not None and self.origin != "random":
            raise ValueError("'seed' goes with origin 'random'; that of a trained candidate stands in 'training'")
        return self

    @property
    def entries(self) -> int:
        """Entries of the tokenizer that is trained with it, special ones included."""
        return self.vocabulary or DEFAULT_ENTRIES

    def as_description(self) -> dict[str, Any]:
        """Everything that decides the weights, for hashing: without the title, and without keys that are not there."""
        absent = {key for key in ("seed", "pruning") if getattr(self, key) is None}
        absent |= set() if self.trust_remote_code else {"trust_remote_code"}
        return self.model_dump(mode="json", exclude={"title", *absent})
