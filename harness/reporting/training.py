"""What training gave, for people: tables of its losses, what its curve says, and a block as the model sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.language.markup import code, plain
from harness.language.say import digits, retell, say
from harness.records.record import Record
from harness.records.units import number_and_unit
from harness.reporting.table import NOTHING, Column, Table
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
    parts += [f"- {names[key]}: {plain(text)}" for key, text in run.get("sample", {}).items()]
    return "\n\n".join(part for part in parts if part)


def validation_table(run: Mapping[str, Any]) -> Table:
    """A line a validation: epochs and tokens seen, training loss since the line before, validation loss, perplexity."""
    lines = [
        (
            f"{entry['epoch']:.2f}",
            f"{entry['tokens']:,}",
            f"{entry['training_loss']:.4f}" if "training_loss" in entry else NOTHING,
            f"{entry['loss']:.4f}",
            f"{math.exp(entry['loss']):,.2f}",
        )
        for entry in run["validation"]
    ]
    return Table(("epoch", "tokens", "training loss", "validation loss", "perplexity"), tuple(lines), left=0)


def losses_table(records: Sequence[Record]) -> Table | None:
    """Validation loss at even distances along each training run, against the unigram baseline."""
    lines = []
    for record in records:
        fact = record.fact
        if fact is None or fact.metric != "validation_loss":
            continue
        losses = " → ".join(digits(f"{point['loss']:.3f}") for point in fact.samples)
        lines.append(
            (
                code(record.subject.candidate),
                say(record.subject.origin),
                plain(retell(str(fact.protocol.get("initialised_from", "")))),
                digits(f"{fact.protocol.get('tokens', 0):,}"),
                losses,
                digits(f"{float(fact.protocol.get('unigram_loss', 0.0)):.3f}"),
            )
        )
    losses_header = Column(say("validation loss along the way"), say("nats/token"), False)
    headers = (say("candidate"), say("origin"), say("starts from"), say("tokens"), losses_header, say("unigram"))
    return Table(headers, tuple(lines), left=3) if lines else None


def training_conclusions(records: Sequence[Record]) -> list[str]:
    """What the curve of each training run says, in sentences."""
    took = {
        record.subject.candidate: telemetry_words(record.conditions)
        for record in records
        if record.kind == "candidate" and record.fact is None
    }
    found = []
    for record in records:
        fact, name = record.fact, record.subject.candidate
        if fact is not None and fact.metric == "validation_loss" and "unigram_loss" in fact.protocol:
            words = conclusions({"validation": fact.samples, "unigram_loss": fact.protocol["unigram_loss"]})
            sentences = " ".join([*words, took.get(name, "")]).rstrip()
            found.append(say("{candidate}: {sentences}", candidate=code(name), sentences=sentences))
    return found


def telemetry_words(conditions: Mapping[str, Any]) -> str:
    """What training took of the machine, in a sentence; nothing where the checkpoint was there before."""
    telemetry = conditions.get("telemetry", {})
    if conditions.get("cached") or "cores" not in telemetry:
        return ""
    memory = digits(f"{telemetry['memory_bytes'] / 2**20:,.0f}")
    parts = [
        say("{count} cores", count=digits(f"{telemetry['cores']:.2f}")),
        say("at most {size} MiB of memory", size=memory),
    ]
    if "joules" in telemetry:
        parts.append(say("{energy} J of all CPU packages", energy=digits(f"{telemetry['joules']:,.0f}")))
    gpu = telemetry.get("gpu", {})
    parts += [
        f"{say(words)} {number_and_unit(digits(f'{gpu[name] / scale:,.0f}'), unit and say(unit))}"
        for name, (words, scale, unit) in _OF_A_GPU.items()
        if name in gpu
    ]
    return say(
        "In {time} s it took {what}, sampled {count} times from outside.",
        time=digits(f"{telemetry['seconds']:,.0f}"),
        what=", ".join(parts),
        count=telemetry["samples"],
    )


_OF_A_GPU = {
    "sm_mhz": ("GPU clock", 1, "MHz"),
    "memory_mhz": ("GPU memory clock", 1, "MHz"),
    "watts": ("GPU power", 1, "W"),
    "celsius": ("GPU temperature", 1, "°C"),
    "utilisation_percent": ("GPU utilisation", 1, "%"),
    "memory_bytes": ("GPU memory", 2**20, "MiB"),
    "uncorrected_errors": ("uncorrected GPU memory errors", 1, ""),
}
"""How a mean is said: words, what it is divided by, unit."""
