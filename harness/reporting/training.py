"""What a training run gave, for people: a table of its validations, its conclusions, and a block as it is seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.reporting.table import Table, escape
from harness.training.curve import conclusions


def training_summary(run: Mapping[str, Any]) -> str:
    """The run as Markdown; ``run`` is what ``training.json`` of a checkpoint holds."""
    parts = [
        f"{run['parameters']:,} parameters, starting from {run['initialised_from']}; {run['tokens']:,} tokens seen.",
        validation_table(run).markdown(),
        " ".join(conclusions(run)),
    ]
    names = {"text": "a block of the validation split", "seen": "as the model sees it", "asked": "what it is asked for"}
    parts += [f"- {names[key]}: {escape(text)}" for key, text in run.get("sample", {}).items()]
    return "\n\n".join(part for part in parts if part)


def validation_table(run: Mapping[str, Any]) -> Table:
    """A line a validation: epochs and tokens seen, training loss since the line before, validation loss, perplexity."""
    lines = [
        (
            f"{entry['epoch']:.2f}",
            f"{entry['tokens']:,}",
            f"{entry['training_loss']:.4f}" if "training_loss" in entry else "–",
            f"{entry['loss']:.4f}",
            f"{math.exp(entry['loss']):,.2f}",
        )
        for entry in run["validation"]
    ]
    return Table(("epoch", "tokens", "training loss", "validation loss", "perplexity"), tuple(lines), left=0)
