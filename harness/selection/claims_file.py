"""From a TOML file of claims to checked claims; every error names file, claim, key and what was expected."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness.errors import HarnessError, nearest
from harness.records.metrics import METRICS
from harness.selection.claims import Claim, Range

_NO_NUMBER = ("sample", "sweep", "training")
"""Measures that are no number of a variant."""


def _listed(value: Any) -> Any:
    """One name is a list of one."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RangeKeys(_Table):
    """Numbers from ``at_least`` to ``at_most``, both included; one of them may be left out."""

    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _not_empty(self) -> RangeKeys:
        if self.at_least is None and self.at_most is None:
            raise ValueError("expected at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"nothing is at least {self.at_least:g} and at most {self.at_most:g}")
        return self


class ClaimKeys(_Table):
    """A table ``[[claim]]``; its keys are documented in docs/claims.md."""

    text: Text
    source: Text
    unmeasured: Text | None = None
    new: Names | None = None
    base: Names | None = None
    metric: Names | None = None
    value: RangeKeys | None = None
    ratio: RangeKeys | None = None
    variants: Names | None = None

    @field_validator("metric")
    @classmethod
    def _known_metrics(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            if name not in METRICS:
                close = nearest(name, METRICS)
                hint = close if "did you mean" in close else ""
                raise ValueError(f"'{name}' is not a metric{hint}; see: harness list metrics")
            if METRICS[name].measure in _NO_NUMBER:
                raise ValueError(f"'{name}' is not a number of a variant; see: harness list metrics")
        return value

    @field_validator("variants")
    @classmethod
    def _patterns_of_variants(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for pattern in value or ():
            if pattern.count("/") not in (1, 2):
                raise ValueError(f"expected ENGINE/PRECISION or ENGINE/PRECISION/DEVICE, not '{pattern}'")
        return value

    @model_validator(mode="after")
    def _one_way_to_judge(self) -> ClaimKeys:
        judged = [key for key in ("new", "base", "metric", "value", "ratio", "variants") if getattr(self, key)]
        if self.unmeasured is not None:
            if judged:
                raise ValueError(f"'unmeasured' says that nothing tells, and '{judged[0]}' how to tell")
            return self
        for key in ("new", "metric"):
            if key not in judged:
                raise ValueError(f"'{key}' is missing")
        if self.value is not None and self.ratio is not None:
            raise ValueError("expected 'value' or 'ratio', not both")
        if self.base is None:
            self._of_one()
        else:
            self._of_two(self.base)
        return self

    def _of_one(self) -> None:
        if self.ratio is not None:
            raise ValueError("'ratio' is new / base, and 'base' is missing")
        if self.value is None:
            raise ValueError("'value' is missing")

    def _of_two(self, base: tuple[str, ...]) -> None:
        if self.value is not None:
            raise ValueError("'value' is of one candidate; with 'base' give 'ratio', new / base")
        if self.ratio is None:
            raise ValueError("'ratio' is missing")
        if len(base) != len(self.new or ()):
            raise ValueError(f"'base' has {len(base)} names and 'new' {len(self.new or ())}: expected a base for each")
        if ends := [end for end in (self.ratio.at_least, self.ratio.at_most) if end is not None and end < 0]:
            raise ValueError(f"'ratio' is new / base, which is never {ends[0]:g}")

    def claim(self) -> Claim:
        """The claim that these keys describe."""
        keys = self.value or self.ratio
        return Claim(
            text=self.text,
            source=self.source,
            new=self.new or (),
            base=self.base or (),
            metrics=tuple(dict.fromkeys(self.metric or ())),
            range=Range(keys.at_least, keys.at_most) if keys else Range(),
            variants=self.variants or (),
            unmeasured=self.unmeasured or "",
        )


def shipped_claims() -> list[Claim]:
    """The claims that come with the package: those of the note that the shipped models are compared in."""
    return _read(Path(str(files("harness.selection"))) / "claims.toml", "the shipped claims")


def read_claims(path: Path) -> list[Claim]:
    """Read and check a file of claims. Raises HarnessError that names the file, the claim and the key."""
    return _read(path, str(path))


def check_claims(table: dict[str, Any], source: str) -> list[Claim]:
    """Check the table that a file of claims holds; ``source`` names it in errors."""
    for key in table:
        if key != "claim":
            raise HarnessError(_line(f"{source}: unknown key '{key}'{nearest(key, ['claim'])}"))
    listed = table.get("claim")
    if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
        raise HarnessError(f"{source}: expected tables [[claim]], one for each claim")
    return [_check(each, f"{source}: claim {number}") for number, each in enumerate(listed, start=1)]


def _read(path: Path, source: str) -> list[Claim]:
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise HarnessError(f"cannot read claims {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise HarnessError(f"{source}: not UTF-8: {error.reason} at byte {error.start}") from error
    except (ValueError, RecursionError) as error:  # among them numbers of more digits than Python reads
        raise HarnessError(_line(f"{source}: not valid TOML: {error}")) from error
    return check_claims(table, source)


def _check(table: dict[str, Any], source: str) -> Claim:
    try:
        # Through JSON, where strict types take a TOML array for a tuple; dates become text.
        return ClaimKeys.model_validate_json(json.dumps(table, default=str), strict=True).claim()
    except ValidationError as error:
        raise HarnessError(_line(f"{source}: {_first_problem(error)}")) from None
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{source}: a value is too long, or its tables nest too deeply: {error}") from None


def _first_problem(error: ValidationError) -> str:
    """The first problem: its key, what was expected, and the nearest known key."""
    problems = error.errors()
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    where = [str(part) for part in problem["loc"]]
    key = ".".join(where)
    if problem["type"] == "extra_forbidden":
        known = RangeKeys.model_fields if where[:-1] in (["value"], ["ratio"]) else ClaimKeys.model_fields
        return f"unknown key '{key}'{nearest(where[-1], known)}"
    if problem["type"] == "missing":
        return f"'{key}' is missing"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
    return f"{key}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _line(text: str) -> str:
    return " ".join(text.split())
