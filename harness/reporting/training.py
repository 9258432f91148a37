"""What a training run gave, for people: a table of its validations, its conclusions, and a block as it is seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.reporting.table import Table, escape
from harness.training.curve import conclusions


def training_summary(run: Mapping[str, Any], conditions: Mapping[str, Any]) -> str:
    """The run as Markdown; ``run`` is what ``training.json`` of a checkpoint holds, ``conditions`` what was seen of it
    now."""
    parts = [
        f"{run['parameters']:,} parameters, starting from {run['initialised_from']}; {run['tokens']:,} tokens seen.",
        validation_table(run).markdown(),
        " ".join(conclusions(run)),
    ]
    parts.append(telemetry_words(conditions))
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


def telemetry_words(conditions: Mapping[str, Any]) -> str:
    """What training took of the machine, in a sentence; nothing where the checkpoint was there before."""
    telemetry = conditions.get("telemetry", {})
    if conditions.get("cached") or "cores" not in telemetry:
        return ""
    parts = [f"{telemetry['cores']:.2f} cores", f"at most {telemetry['memory_bytes'] / 2**20:,.0f} MiB of memory"]
    if "joules" in telemetry:
        parts.append(f"{telemetry['joules']:,.0f} J of all CPU packages")
    gpu = telemetry.get("gpu", {})
    parts += [
        f"{words} {gpu[name] / scale:,.0f}{unit}" for name, (words, scale, unit) in _OF_A_GPU.items() if name in gpu
    ]
    return f"In {telemetry['seconds']:,.0f} s it took {', '.join(parts)}, by {telemetry['samples']} looks from outside."


_OF_A_GPU = {
    "sm_mhz": ("GPU clock", 1, " MHz"),
    "memory_mhz": ("GPU memory clock", 1, " MHz"),
    "watts": ("GPU power", 1, " W"),
    "celsius": ("GPU temperature", 1, " °C"),
    "utilisation_percent": ("GPU utilisation", 1, " %"),
    "memory_bytes": ("GPU memory", 2**20, " MiB"),
    "uncorrected_errors": ("uncorrected GPU memory errors", 1, ""),
}
"""How a mean is said: words, what it is divided by, unit."""
