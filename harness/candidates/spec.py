"""What a candidate is, as a user writes it in a suite or as the catalogue ships it.

These models only describe; nothing here imports torch or reads weights.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Family = Literal["causal", "masked", "seq2seq"]
Architecture = Literal["gpt2", "bert", "distilbert", "t5"]

FAMILY_OF: dict[Architecture, Family] = {"gpt2": "causal", "bert": "masked", "distilbert": "masked", "t5": "seq2seq"}


class Description(BaseModel):
    """A strict, frozen table of a TOML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingSpec(Description):
    """How a candidate is trained. ``tokens`` is the budget, so that the result does not depend on the machine."""

    tokens: int = Field(gt=0, description="training tokens seen")
    block_size: int = Field(default=128, ge=8, le=4096, description="tokens a block")
    batch_size: int = Field(default=4, ge=1, description="blocks a step")
    learning_rate: float = Field(default=2e-3, gt=0, description="peak learning rate of AdamW")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of steps that warm up")
    beta2: float = Field(default=0.95, gt=0, lt=1, description="AdamW's second-moment decay")
    weight_decay: float = Field(default=0.1, ge=0, description="AdamW's decoupled weight decay")
    clip_norm: float = Field(default=1.0, gt=0, description="gradient norm above which gradients are scaled down")
    mask_share: float = Field(default=0.15, gt=0, lt=1, description="share of tokens masked or corrupted")
    seed: int = Field(default=0, ge=0)
    evaluations: int = Field(default=4, ge=1, description="validation losses taken along the way")


class DistillationSpec(Description):
    """Weights of the distillation loss; the defaults are DistilBERT's (Sanh et al. 2019, section 3)."""

    temperature: float = Field(default=2.0, gt=0)
    soft: float = Field(
        default=5.0, ge=0, description="KL divergence to the teacher at the temperature, times T squared"
    )
    hard: float = Field(default=2.0, ge=0, description="cross-entropy on the data")
    cosine: float = Field(default=1.0, ge=0, description="cosine distance of the last hidden states")


class WheelSpec(Description):
    """A file inside a wheel of a package index, identified by its hash."""

    requirement: str = Field(pattern=r"^[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+$", description="NAME==VERSION")
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class CandidateSpec(Description):
    """One candidate. ``origin`` decides which of the other keys are needed."""

    origin: Literal["published", "trained", "distilled", "random"]
    family: Family
    title: str = ""
    # published
    hub: str | None = Field(default=None, description="repository of the Hugging Face hub, NAME or NAME@REVISION")
    path: str | None = Field(default=None, description="local checkpoint folder")
    wheel: WheelSpec | None = None
    # trained, distilled and random
    architecture: Architecture | None = None
    shape: dict[str, int] = Field(default_factory=dict, description="keys of the architecture's configuration")
    vocabulary: int = Field(default=4096, ge=300, le=60000, description="entries of the tokenizer trained with it")
    training: TrainingSpec | None = None
    teacher: str | None = Field(default=None, description="the candidate that this one is distilled from")
    distillation: DistillationSpec = DistillationSpec()
    # random
    seed: int | None = Field(default=None, ge=0, description="draws random weights; 0 where it is not given")

    @model_validator(mode="after")
    def _complete(self) -> CandidateSpec:
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
        if (self.teacher is not None) != (self.origin == "distilled"):
            raise ValueError("'teacher' goes with origin 'distilled', and only with it")
        if self.seed is not None and self.origin != "random":
            raise ValueError("'seed' goes with origin 'random'; that of a trained candidate stands in 'training'")
        return self

    def as_description(self) -> dict[str, Any]:
        """Everything that decides the weights, for hashing: the title is left out, and a seed that is not there."""
        return self.model_dump(mode="json", exclude={"title"} | ({"seed"} if self.seed is None else set()))
