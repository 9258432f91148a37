"""The report of a run as blocks, from its records alone: what to deploy first, then what that stands on."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Any

from harness.language.markup import code, plain
from harness.language.say import digits, retell, say
from harness.records.machines import instructions
from harness.records.record import Record
from harness.records.rows import Row, make_rows
from harness.records.stored_run import StoredRun
from harness.reporting import limits, lineage, machines, quality, sections, timing, training
from harness.reporting.characters import characters_table
from harness.reporting.claims import claims_table
from harness.reporting.document import Block, Bullets, CodeBlock, Details, Heading, Paragraph
from harness.reporting.plots.gallery import plots as draw
from harness.reporting.plots.theme import Plot
from harness.reporting.table import Table
from harness.reporting.trust import trusted_code
from harness.selection.claims import Judged
from harness.selection.equivalence import APPROXIMATE, EXACT
from harness.selection.recommend import Recommendation, recommend
from harness.selection.slower import slower_sentences
from harness.selection.use_cases import use_cases_of
from harness.selection.words import paragraph, rivals


def report_blocks(run: StoredRun, claims: Sequence[Judged] = (), plots: bool = True) -> list[Block]:
    """The whole report; ``claims`` are judged on the same run."""
    records = run.records()
    rows = make_rows(records)
    blocks = _heading(run, rows)
    if not rows:
        return [*blocks, Paragraph(say("Nothing has been measured yet."))]
    drawn = {plot.name: plot for plot in draw(records, rows)} if plots else {}
    suite = run.info.get("suite", {})
    chosen = [recommend(rows, case) for case in use_cases_of(suite)]
    blocks += _recommendations(chosen, rows)
    blocks += _comparison(suite, rows, drawn)
    blocks += _characters(chosen, rows)
    blocks += _claims(claims)
    blocks += _quality(suite, rows)
    blocks += _speed(records, rows, drawn)
    blocks += _changes(run, rows)
    blocks += _training(records, rows, drawn)
    blocks += _titled(say("Failed and skipped"), sections.problems_table(rows))
    more = [*limits.limits_lines(records), *filter(None, [timing.energy_line(records)])]
    blocks += [Heading(say("Environment")), *machines.environment_blocks(run.info, records, more)]
    if command := str(run.info.get("command", "")):
        blocks += [Heading(say("Reproduce")), CodeBlock(command)]
    return blocks


def _heading(run: StoredRun, rows: Sequence[Row]) -> list[Block]:
    suite, corpus = run.info.get("suite", {}), run.info.get("corpus", {})
    counts = {status: sum(row.status == status for row in rows) for status in dict.fromkeys(row.status for row in rows)}
    title = suite.get("title") or run.info.get("suite_name") or run.name
    unknown = say("unknown")
    about = say(
        "Run {run} of {suite} on {date}; corpus {corpus} ({note}); variants: {counts}.",
        run=code(run.name),
        suite=plain(str(run.info.get("suite_name", unknown))),
        date=plain(str(run.info.get("created", unknown))),
        corpus=plain(str(corpus.get("name", unknown))),
        note=plain(retell(str(corpus.get("note", unknown)))),
        counts=", ".join(say("{count} {status}", count=n, status=say(status)) for status, n in counts.items())
        or say("none yet"),
    )
    warning = trusted_code(suite, (row.subject.candidate for row in rows))
    return [Heading(plain(retell(str(title))), level=1), Paragraph(about), *([Paragraph(warning)] if warning else [])]


def _recommendations(chosen: Sequence[Recommendation], rows: Sequence[Row]) -> list[Block]:
    ratios = say("Ratios of timings are medians of the ratios round by round, and need not be those of two medians.")
    blocks: list[Block] = [Heading(say("Recommendations")), Paragraph(ratios)] if chosen else []
    for each in chosen:
        blocks.append(Paragraph(f"**{plain(retell(each.use_case.title))}.** {paragraph(each, rows)}"))
        measured = {row.variant for row in rows if row.status == "ok"}  # the others have a table of their own
        if lost := [(variant, why) for variant, why in rivals(each, rows) if variant in measured]:
            lines = tuple((code(variant), why) for variant, why in lost)
            table = Table((say("variant"), say("why not")), lines, left=2)
            blocks.append(Details(say("Why not the others"), (table,)))
    return blocks


def _comparison(suite: dict[str, Any], rows: Sequence[Row], drawn: dict[str, Plot]) -> list[Block]:
    table = sections.comparison_table(rows)
    blocks: list[Block] = [Heading(say("Comparison"))]
    if table:
        blocks += [table, Paragraph(_how_to_read(suite, rows))]
    return blocks + _plots(drawn, "pareto-*", "peak-memory", "weights")


def _how_to_read(suite: dict[str, Any], rows: Sequence[Row]) -> str:
    about = suite.get("timing", {})
    return say(
        "Arrows say which direction is better; bold is the best of its column, with all that cannot be told from it. "
        "Numbers are rounded by their 95 % intervals. A dash: models of that family have no such measure, or the suite "
        "did not ask for it. Prefill, decode and encode are tokens/s at batch 1 (prompt of {prompt} tokens, {new} "
        "decoded): the median over {rounds} fresh worker processes. Weights are the bytes on disk that the engine "
        "loads; peak memory is what the worker held alone, over its baseline before loading. Quality stands here only "
        "as far as it compares across families; perplexities do not, and have tables of their own below. *Not "
        "equivalent*: too far from its fp32 torch parent, by the gate below; such a variant is never recommended.",
        prompt=about.get("prompt_tokens", "?"),
        new=about.get("new_tokens", "?"),
        rounds=_rounds(rows),
    )


def _rounds(rows: Sequence[Row]) -> str:
    """How many timing workers the rows stand on: one number, or the fewest and the most."""
    counts = sorted({len(value.rounds) for row in rows for value in row.metrics.values() if value.rounds})
    return "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1]))) if counts else "0"


def _characters(chosen: Sequence[Recommendation], rows: Sequence[Row]) -> list[Block]:
    uses: dict[str, list[str]] = {}
    for each in chosen:
        for row in (each.chosen, *each.tied) if each.chosen else ():
            uses.setdefault(row.variant, []).append(plain(retell(each.use_case.title)))
    return _titled(
        say("The candidates"),
        characters_table(rows, uses),
        say("Each with its best measured values; what it is recommended for includes ties."),
    )


def _claims(claims: Sequence[Judged]) -> list[Block]:
    judged = [each for each in claims if each.verdict != "not measured"]
    blocks = _titled(say("Claims"), claims_table(judged), say("Each is judged on the candidates that are named."))
    unknown = claims_table([each for each in claims if each.verdict == "not measured"])
    return [*blocks, Details(say("Claims that this run cannot tell"), (unknown,))] if blocks and unknown else blocks


def _quality(suite: dict[str, Any], rows: Sequence[Row]) -> list[Block]:
    tables = quality.family_tables(rows)
    if not tables:
        return []
    evaluation = suite.get("evaluation", {})
    size = evaluation.get("excerpt_bytes", 0)
    split = plain(str(evaluation.get("split", say("unknown"))))
    words = "Scored on the middle {size} bytes of each document of the {split} split."
    scored = say(words, size=digits(f"{size:,}"), split=split) if size else ""
    scored = scored or say("Scored on all documents of the {split} split.", split=split)
    blocks: list[Block] = [Heading(say("Quality")), Paragraph(scored)]
    if across := quality.across_families(rows):
        blocks += [Heading(say("Across families"), 3), Paragraph(" ".join([_across(), *_item_sizes(suite)]))]
        items = quality.items_words(rows)
        blocks += [Paragraph(say("Items: {items}.", items=items))] if items else []
        blocks.append(across)
    not_ranked = say(
        "Perplexities are not ranked across families, because they are different quantities: of every token given its "
        "left context, of masked tokens given both sides, of dropped spans given the rest. Between causal models with "
        "different tokenizers, compare bits per byte."
    )
    blocks += [Heading(say("A family at a time"), 3), Paragraph(not_ranked)]
    for title, protocol, table in tables:
        blocks += [Heading(title, 4), Paragraph(protocol), table]
    return blocks


def _across() -> str:
    return say(
        "Every candidate is asked the same items, so these measures may be ranked across families and tokenizers. A "
        "rank is one more than the number of variants that are better by a paired 95 % interval, so it may be shared; "
        "variants that failed, are unfinished or are not equivalent to their parent have none. Masked models know how "
        "many tokens are missing, which helps them a little."
    )


def _item_sizes(suite: dict[str, Any]) -> list[str]:
    items = suite.get("items", {})
    if not {"context_words", "continuation_words", "right_words"} <= items.keys():
        return []
    return [
        say(
            "Continuations and clozes have {context} words before them; continuations are {length} words long, and "
            "{right} words follow a cloze with both sides.",
            context=items["context_words"],
            length=items["continuation_words"],
            right=items["right_words"],
        )
    ]


def _speed(records: Sequence[Record], rows: Sequence[Row], drawn: dict[str, Plot]) -> list[Block]:
    tables = sections.speed_tables(rows)
    if not tables:
        return []
    interval = say(
        "Brackets are 95 % intervals from order statistics over the workers, where there are six or more; here there "
        "are {rounds}.",
        rounds=_rounds(rows),
    )
    blocks: list[Block] = [Heading(say("Speed")), Paragraph(" ".join([interval, *timing.timing_sentences(records)]))]
    for title, table in tables:
        blocks += [Heading(title, 3), table]
    blocks += _plots(drawn, "prefill", "decode", "encode", "*-latency")
    beside = machines.kinds_table(rows)
    blocks += _titled(say("The kinds side by side"), beside, machines.how_to_read(), level=3)
    loading = say(
        "Load is opening the weights in a fresh worker with a warm file cache; cold, with the files dropped from the "
        "system's cache. Engines that map their files read them in the first call instead."
    )
    energy = say("Joules a token, of all CPU packages (CUDA: of the GPU), idle power included.")
    blocks += _titled(say("Load"), timing.load_table(rows), loading, level=3)
    blocks += _titled(say("Energy"), timing.energy_table(rows), energy, level=3)
    swept = timing.sweep_table(records)
    blocks += _titled(say("Prompt lengths and batches"), swept, say("The median over workers."), level=3)
    blocks += _plots(drawn, "sweep-*")
    blocks += _titled(say("Distance from the limit"), limits.limits_table(rows), limits.how_to_read(), level=3)
    return blocks + _plots(drawn, "*-of-limit")


def _changes(run: StoredRun, rows: Sequence[Row]) -> list[Block]:
    counted = say("Weights by the type that they are stored in, counted in the files that the engine loads.")
    beside = say(
        "The parent is the checkpoint in fp32 torch, on the same tokens. KL is in nats a token; the ratio's interval "
        "is paired by document. Perplexity in batches is over that of one window at a time. Equivalent: {exact} "
        "(fp32), {approximate} (other precisions).",
        exact=EXACT,
        approximate=APPROXIMATE,
    )
    ratios = say("Ratios to fp32 torch; 95 % intervals, paired by round.")
    blocks = _titled(say("What was quantised"), sections.quantised_table(rows), counted, level=3)
    blocks += _titled(say("Each variant against its parent"), quality.parent_table(rows), beside, level=3)
    blocks += _titled(say("Size and speed"), sections.change_table(rows), ratios, level=3)
    slower: list[str] = []
    for kind in dict.fromkeys(row.subject.machine for row in rows):
        mine = [row for row in rows if row.subject.machine == kind]
        slower += slower_sentences(mine, instructions(run.info, kind))
    if slower:
        blocks += [Heading(say("Slower than fp32"), 3), Bullets(tuple(slower))]
    return [Heading(say("What engine and precision changed")), *blocks] if blocks else []


def _training(records: Sequence[Record], rows: Sequence[Row], drawn: dict[str, Plot]) -> list[Block]:
    note = say(
        "Losses in nats a token on a frozen part of the validation split; unigram is what word frequencies reach."
    )
    blocks = _titled(say("Training"), training.losses_table(records), note)
    if conclusions := training.training_conclusions(records):
        blocks.append(Bullets(tuple(conclusions)))
    blocks += _plots(drawn, "training-*")
    kept = lineage.lineage_table(records, rows)
    blocks += _titled(say("Students and teachers"), kept, lineage.how_to_read(records, rows))
    if texts := sections.samples(rows):
        prompts = say(" and ").join(
            dict.fromkeys(say("“{prompt}”", prompt=plain(row.sample_prompt)) for row in rows if row.sample_prompt)
        )
        blocks += [Heading(say("Samples")), Paragraph(say("Greedy, from {prompts}.", prompts=prompts))]
        blocks.append(Bullets(tuple(texts)))
    return blocks


def _titled(title: str, table: Table | None, note: str = "", level: int = 2) -> list[Block]:
    """A heading, a note and a table; nothing without the table."""
    if table is None:
        return []
    return [Heading(title, level), *([Paragraph(note)] if note else []), table]


def _plots(drawn: dict[str, Plot], *names: str) -> list[Block]:
    """The plots whose names fit one of some patterns, in the order in which they were drawn."""
    return [plot for name, plot in drawn.items() if any(fnmatch(name, each) for each in names)]
