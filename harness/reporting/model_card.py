"""The model card of a candidate, written from a run: the hub's metadata, and in words what was measured and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.language.markup import code, plain
from harness.language.say import digits, retell, say
from harness.records.metrics import METRICS, PERPLEXITY
from harness.records.rows import Row
from harness.records.units import quantity
from harness.reporting import lineage, machines, quality, sections, training
from harness.reporting.card_candidate import CardCandidate, card_candidate
from harness.reporting.cells import cell
from harness.reporting.document import Block, Bullets, CodeBlock, Heading, Paragraph, markdown
from harness.reporting.metric_table import metric_table
from harness.reporting.model_index import Facts, metadata_block, quality_metrics
from harness.reporting.table import NOTHING, Column, Entry, Table, without_empty_columns
from harness.reporting.trust import trusted_code
from harness.selection.recommend import Recommendation, recommend
from harness.selection.use_cases import use_cases_of
from harness.selection.words import paragraph

if TYPE_CHECKING:
    from harness.records.stored_run import StoredRun

_KINDS = {
    "causal": "A causal language model: a decoder, which writes text on from left to right.",
    "masked": "A masked language model: an encoder, which fills in gaps from both sides.",
    "seq2seq": "A sequence-to-sequence model: an encoder and a decoder, which fill in spans and rewrite text.",
}
_ORIGINS = {
    "trained": "It was trained from scratch.",
    "distilled": "It was distilled from {teacher}.",
    "pruned": "It was pruned from {teacher}, which then taught what was left.",
    "published": "Its weights are published ones, taken as they are.",
    "random": "Its weights are random: it has the size and the speed of a real model, and has learnt nothing.",
}
_VARIANTS = ("weights_bytes", "prefill_tokens_per_second", "decode_tokens_per_second", "encode_tokens_per_second",
             "peak_memory_bytes", "load_seconds")  # fmt: skip


def model_card(run: StoredRun, candidate: str | None = None) -> str:
    """The card as Markdown with YAML metadata; ``candidate`` may be left out where the run has one.

    Raises HarnessError for a candidate that the run does not have, or where none is named and there are several.
    """
    mine = card_candidate(run, candidate)
    facts = Facts(mine.title, mine.family, mine.origin, mine.teacher, mine.checkpoint, mine.info)
    blocks: list[Block] = [Heading(plain(retell(mine.title)), level=1), Paragraph(_what_it_is(mine))]
    if warning := trusted_code(mine.info.get("suite", {}), [mine.name]):
        blocks.append(Paragraph(warning))
    if mine.checkpoint is None:
        nothing = say("None of its variants was measured to its end, so this card has no results.")
        blocks.append(Paragraph(nothing))
    else:
        blocks += [*_quality(mine, mine.checkpoint), *_variants(mine), *_recommended(mine)]
    blocks += _problems(mine) + _training(mine) + _how(run.name, mine)
    return f"{metadata_block(facts)}\n\n{markdown(blocks, '')}"


def _what_it_is(mine: CardCandidate) -> str:
    sentences = [say(_KINDS[mine.family])]
    if (row := next((row for row in mine.rows if "parameters" in row.metrics), None)) is not None:
        sentences.append(say("It has {count} parameters.", count=quantity(row.value("parameters") or 0, "parameters")))
    if mine.origin in ("distilled", "pruned"):
        teacher = code(mine.teacher) if mine.teacher else say("a teacher that the run does not name")
        sentences.append(say(_ORIGINS[mine.origin], teacher=teacher))
    else:
        sentences.append(say(_ORIGINS[mine.origin]))
    if hub := mine.described.get("hub"):
        sentences.append(say("They come from {repository} of the Hugging Face hub.", repository=code(str(hub))))
    if "tokens" in mine.trained:
        sentences.append(
            say(
                "Training started from {start} and saw {tokens} tokens of {corpus}.",
                start=plain(retell(str(mine.trained.get("initialised_from", say("unknown"))))),
                tokens=digits(f"{mine.trained['tokens']:,}"),
                corpus=_corpus(mine.info),
            )
        )
    return " ".join(sentences)


def _corpus(info: Mapping[str, Any]) -> str:
    corpus = info.get("corpus", {})
    name, note = code(str(corpus.get("name", say("unknown")))), str(corpus.get("note", ""))
    return say("{corpus} ({note})", corpus=name, note=plain(retell(note))) if note else name


def _quality(mine: CardCandidate, row: Row) -> list[Block]:
    if mine.origin == "random":
        return []
    metrics = quality_metrics(row)
    if not metrics:
        return []
    split = mine.info.get("suite", {}).get("evaluation", {}).get("split", say("unknown"))
    about = say(
        "Of {variant}, on the {split} split of {corpus}. Brackets are 95 % intervals. The baseline is what word "
        "frequencies of the training split reach: a model near it has learnt nothing. Perplexities depend on the "
        "tokenizer and on the kind of model, so they compare only between models that have both in common.",
        variant=code(row.variant),
        split=plain(str(split)),
        corpus=_corpus(mine.info),
    )
    if "blimp_accuracy" in metrics:
        about = " ".join([about, say("BLiMP has sentences of its own.")])
    lines: list[list[Entry]] = [
        [_directed(metric), _shown(row, metric), _shown(row, _floor(mine.family, metric))] for metric in metrics
    ]
    table = without_empty_columns([say("measure"), say("value"), say("unigram baseline")], lines)
    return [Heading(say("Quality")), Paragraph(about), table]


def _shown(row: Row, metric: str) -> str:
    """A value with its interval; its title says the unit, but for shares."""
    return cell(row, metric, unit=METRICS[metric].unit == "fraction") if metric in METRICS else NOTHING


def _directed(metric: str) -> str:
    """The title of a metric and the direction that is better."""
    return str(Column(say(METRICS[metric].title), "", METRICS[metric].higher_is_better))


def _floor(family: str, metric: str) -> str:
    """The metric of the same under word frequencies; that of a family's perplexity has one name for all families."""
    return f"unigram_{'perplexity' if metric == PERPLEXITY[family] else metric}"


def _variants(mine: CardCandidate) -> list[Block]:
    metrics = (*_VARIANTS, *_perplexity(mine))
    table = metric_table(mine.rows, metrics, lead=("engine", "precision", "device"), trail=("status",))
    if table is None:
        return []
    timing = mine.info.get("suite", {}).get("timing", {})
    rounds = max((len(value.rounds) for row in mine.rows for value in row.metrics.values()), default=0)
    about = say(
        "The same model as each engine runs it. Arrows say which direction is better; bold is the best of its column, "
        "with all that cannot be told from it. Speeds are at batch 1, with a prompt of {prompt} tokens and {new} that "
        "are decoded: the median over {rounds} fresh worker processes. *Not equivalent* is a variant that is too far "
        "from fp32 torch on the same tokens; it is never recommended.",
        prompt=timing.get("prompt_tokens", say("unknown")),
        new=timing.get("new_tokens", say("unknown")),
        rounds=rounds,
    )
    return [Heading(say("Variants")), Paragraph(about), table]


def _perplexity(mine: CardCandidate) -> tuple[str, ...]:
    return () if mine.origin == "random" else (PERPLEXITY[mine.family],)


def _recommended(mine: CardCandidate) -> list[Block]:
    """Use cases that a variant of it was chosen for, and those in which one cannot be told from the choice."""
    chosen = [recommend(mine.run_rows, case) for case in use_cases_of(dict(mine.info.get("suite", {})))]
    if not chosen:
        return []
    items = [words for each in chosen if (words := _use(each, mine))]
    if not items:
        nowhere = say("For none of the use cases of the run is a variant of it recommended.")
        return [Heading(say("Recommended for")), Paragraph(nowhere)]
    return [Heading(say("Recommended for")), Bullets(tuple(items))]


def _use(recommendation: Recommendation, mine: CardCandidate) -> str:
    title, chosen = plain(retell(recommendation.use_case.title)), recommendation.chosen
    if chosen is None:
        return ""
    if chosen.subject.candidate == mine.name:
        return f"**{title}.** {paragraph(recommendation, mine.run_rows)}"
    tied = [code(row.variant) for row in recommendation.tied if row.subject.candidate == mine.name]
    if not tied:
        return ""
    words = say(
        "{variants} cannot be told from {chosen}, which is recommended.",
        variants=", ".join(tied),
        chosen=code(chosen.variant),
    )
    return f"**{title}.** {words}"


def _problems(mine: CardCandidate) -> list[Block]:
    table = sections.problems_table(mine.rows)
    return [Heading(say("Failed and skipped")), table] if table else []


def _training(mine: CardCandidate) -> list[Block]:
    blocks: list[Block] = []
    if losses := training.losses_table(mine.records):
        nats = say("Losses in nats a token on a frozen part of the validation split; unigram is what word frequencies "
                   "reach.")  # fmt: skip
        blocks += [Paragraph(nats), losses]
    if words := training.training_conclusions(mine.records):
        blocks.append(Bullets(tuple(words)))
    if beside := _beside_teacher(mine):
        note = lineage.how_to_read(mine.run_records, mine.run_rows)
        blocks += [Heading(say("Beside its teacher"), 3), Paragraph(note), beside]
    return [Heading(say("Training")), *blocks] if blocks else []


def _beside_teacher(mine: CardCandidate) -> Table | None:
    """The lines of the run's table of students that are this candidate's."""
    table = lineage.lineage_table(mine.run_records, mine.run_rows)
    names = {code(row.variant) for row in mine.rows}
    lines = [line for line in table.lines if line[0] in names] if table else []
    return without_empty_columns(table.headers, lines, table.left) if table and lines else None


def _how(run: str, mine: CardCandidate) -> list[Block]:
    environment = mine.info.get("environment", {})
    unknown = say("unknown")
    items = [
        say(
            "Measured by harness {version}, commit {commit}: run {run} of suite {suite}, {date}.",
            version=plain(str(environment.get("versions", {}).get("harness", unknown))),
            commit=plain(str(environment.get("commit", unknown))),
            run=code(run),
            suite=plain(str(mine.info.get("suite_name", unknown))),
            date=plain(str(mine.info.get("created", unknown))),
        )
    ]
    row = mine.checkpoint
    if row is not None and mine.origin != "random":
        if PERPLEXITY[mine.family] in row.metrics:
            items.append(say("Protocol: {protocol}", protocol=quality.protocol_words([row])))
        if asked := quality.items_words([row]):
            items.append(say("Items: {items}.", items=asked))
    if digest := mine.info.get("corpus", {}).get("hash"):
        items.append(say("Corpus {corpus}, hash {hash}.", corpus=_corpus(mine.info), hash=code(str(digest))))
    if row is not None and row.subject.weights_hash:
        words = say("Weights {weights}, tokenizer {tokenizer} (hashes).", weights=code(row.subject.weights_hash),
                    tokenizer=code(row.subject.tokenizer_hash or NOTHING))  # fmt: skip
        items.append(words)
    blocks: list[Block] = [Heading(say("How it was measured")), Bullets(tuple(items))]
    if command := str(mine.info.get("command", "")):
        blocks += [Paragraph(say("To measure it again:")), CodeBlock(command)]
    return [*blocks, Heading(say("Machine")), *machines.environment_blocks(mine.info, mine.records)]
