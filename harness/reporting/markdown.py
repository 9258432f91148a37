"""The Markdown report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.records.record import Record
from harness.records.rows import Row, make_rows
from harness.records.run_folder import RunFolder
from harness.reporting import limits, lineage, quality, sections, timing
from harness.reporting.table import escape
from harness.selection.equivalence import APPROXIMATE, EXACT
from harness.selection.limits import parse_limit
from harness.selection.recommend import UseCase
from harness.selection.slower import slower_sentences
from harness.selection.words import paragraphs

_ACROSS = (
    "Every candidate is asked the same items, so these measures may be ranked across families and tokenizers. A rank "
    "is one more than the number of variants that are better by a paired 95 % interval, so it may be shared; variants "
    "that failed, are unfinished or are not equivalent to their parent have none. Masked models know how many tokens "
    "are missing, which helps them a little."
)
_NOT_RANKED = (
    "Perplexities are not ranked across families, because they are different quantities: of every token given its left "
    "context, of masked tokens given both sides, of dropped spans given the rest. Between causal models with different "
    "tokenizers, compare bits per byte."
)
_LOADING = (
    "Load is opening the weights in a fresh worker with a warm file cache; cold, with the files dropped from the "
    "system's cache. Engines that map their files read them in the first call instead."
)
_ENERGY = "Joules a token, of all CPU packages (CUDA: of the GPU), idle power included."


def report(run: RunFolder) -> str:
    """The whole report, from the run's records alone."""
    records = run.records()
    rows = make_rows(records)
    parts = [_heading(run, rows)]
    if not rows:
        return "\n\n".join([*parts, "Nothing has been measured yet."]) + "\n"
    parts += _recommendations(run, rows)
    parts += ["## Comparison", sections.comparison_table(rows).markdown(), _how_to_read(run, rows)]
    parts += _quality(run, rows)
    parts += _speed(records, rows)
    parts += _changes(run, rows)
    parts += _training_and_samples(records, rows)
    if problems := sections.problems_table(rows):
        parts += ["## Failed and skipped", problems.markdown()]
    parts += ["## Environment", "\n".join(_machine(run, records))]
    parts += ["## Reproduce", f"```\n{run.info.get('command', '')}\n```"]
    return "\n\n".join(parts) + "\n"


def use_cases(suite: dict[str, Any]) -> list[UseCase]:
    """The use cases of a stored suite."""
    return [
        UseCase(
            title=case["title"],
            families=tuple(case["families"]),
            objective=case["objective"],
            tie_breakers=tuple(case["tie_breakers"]),
            limits=tuple(parse_limit(limit) for limit in case["limits"]),
        )
        for case in suite.get("use_case", [])
    ]


def _heading(run: RunFolder, rows: Sequence[Row]) -> str:
    suite, corpus = run.info.get("suite", {}), run.info.get("corpus", {})
    counts = {status: sum(row.status == status for row in rows) for status in dict.fromkeys(row.status for row in rows)}
    tally = ", ".join(f"{count} {status}" for status, count in counts.items()) or "none yet"
    title = suite.get("title") or run.info.get("suite_name", "run")
    return (
        f"# {title}\n\n"
        f"Run `{run.name}` of {run.info.get('suite_name')} on {run.info.get('created')}; "
        f"corpus {corpus.get('name')} ({corpus.get('note')}); variants: {tally}."
    )


def _recommendations(run: RunFolder, rows: Sequence[Row]) -> list[str]:
    cases = use_cases(run.info.get("suite", {}))
    if not cases:
        return []
    return ["## Recommendations", *(f"**{escape(title)}.** {escape(text)}" for title, text in paragraphs(rows, cases))]


def _how_to_read(run: RunFolder, rows: Sequence[Row]) -> str:
    timing = run.info.get("suite", {}).get("timing", {})
    return (
        f"Prefill, decode and encode are tokens/s at batch 1 (prompt of {timing.get('prompt_tokens')} tokens, "
        f"{timing.get('new_tokens')} decoded): the median over {_rounds(rows)} fresh worker processes. "
        "Weights are the bytes on disk that the engine loads; peak memory is what the worker held alone, over its "
        "baseline before loading. Quality stands here only as far as it compares across families; perplexities do not, "
        "and have tables of their own below. *Not equivalent*: too far from its fp32 torch parent, by the gate below; "
        "such a variant is never recommended."
    )


def _rounds(rows: Sequence[Row]) -> str:
    """How many timing workers the rows stand on: one number, or the fewest and the most."""
    counts = sorted({len(value.rounds) for row in rows for value in row.metrics.values() if value.rounds})
    return "no" if not counts else str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _quality(run: RunFolder, rows: Sequence[Row]) -> list[str]:
    tables = quality.family_tables(rows)
    if not tables:
        return []
    evaluation = run.info.get("suite", {}).get("evaluation", {})
    size = evaluation.get("excerpt_bytes", 0)
    text = f"the middle {size:,} bytes of each document" if size else "all documents"
    parts = ["## Quality", f"Scored on {text} of the {evaluation.get('split')} split."]
    if across := quality.across_families(rows):
        parts += ["### Across families", f"{_ACROSS} {_item_sizes(run)}".rstrip()]
        parts += [f"Items: {quality.items_words(rows)}.", across.markdown()]
    parts += ["### A family at a time", _NOT_RANKED]
    for title, protocol, table in tables:
        parts += [f"#### {title}", f"Protocol: {escape(protocol)}", table.markdown()]
    return parts


def _item_sizes(run: RunFolder) -> str:
    items = run.info.get("suite", {}).get("items")
    if not items:
        return ""
    return (
        f"Continuations and clozes have {items['context_words']} words before them; continuations are "
        f"{items['continuation_words']} words long, and {items['right_words']} words follow a cloze with both sides."
    )


def _machine(run: RunFolder, records: Sequence[Record]) -> list[str]:
    environment = sections.environment_lines(run.info.get("environment", {}))
    return [line for line in (*environment, *limits.limits_lines(records), timing.energy_line(records)) if line]


def _changes(run: RunFolder, rows: Sequence[Row]) -> list[str]:
    parts = []
    if quantised := sections.quantised_table(rows):
        parts += [
            "### What was quantised",
            "Weights by the type that they are stored in, counted in the files that the engine loads.",
            quantised.markdown(),
        ]
    if beside := quality.parent_table(rows):
        parts += [
            "### Each variant against its parent",
            "The parent is the checkpoint in fp32 torch, on the same tokens. KL is in nats a token; the ratio's "
            "interval is paired by document. Perplexity in batches is over that of one window at a time. "
            f"Equivalent: {EXACT} (fp32), {APPROXIMATE} (other precisions).",
            beside.markdown(),
        ]
    if change := sections.change_table(rows):
        parts += ["### Size and speed", "Ratios to fp32 torch; 95 % intervals, paired by round.", change.markdown()]
    if slower := slower_sentences(rows, run.info.get("environment", {}).get("isa", ())):
        parts += ["### Slower than fp32", "\n".join(f"- {escape(sentence)}" for sentence in slower)]
    return ["## What engine and precision changed", *parts] if parts else []


def _speed(records: Sequence[Record], rows: Sequence[Row]) -> list[str]:
    tables = sections.speed_tables(rows)
    if not tables:
        return []
    interval = (
        "Brackets are 95 % intervals from order statistics over the workers, where there are six or more; "
        f"here there are {_rounds(rows)}."
    )
    parts = ["## Speed", " ".join([interval, *timing.timing_sentences(records)])]
    for title, table in tables:
        parts += [f"### {title.capitalize()}", table.markdown()]
    if loading := timing.load_table(rows):
        parts += ["### Load", _LOADING, loading.markdown()]
    if energy := timing.energy_table(rows):
        parts += ["### Energy", _ENERGY, energy.markdown()]
    if swept := timing.sweep_table(records):
        parts += ["### Prompt lengths and batches", "Tokens/s, the median over workers.", swept.markdown()]
    if distance := limits.limits_table(rows):
        parts += ["### Distance from the limit", limits.HOW_TO_READ, distance.markdown()]
    return parts


def _training_and_samples(records: Sequence[Record], rows: Sequence[Row]) -> list[str]:
    parts = []
    if training := sections.training_table(records):
        note = (
            "Losses in nats a token on a frozen part of the validation split; unigram is what word frequencies reach."
        )
        parts += ["## Training", note, training.markdown()]
        if conclusions := sections.training_conclusions(records):
            parts.append("\n".join(conclusions))
    if kept := lineage.lineage_table(records, rows):
        parts += ["## Students and teachers", lineage.HOW_TO_READ, kept.markdown()]
    if texts := sections.samples(rows):
        prompts = " and ".join(dict.fromkeys(f"“{row.sample_prompt}”" for row in rows if row.sample_prompt))
        parts += ["## Samples", f"Greedy, from {escape(prompts)}.", "\n".join(texts)]
    return parts
