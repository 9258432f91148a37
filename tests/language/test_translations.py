"""The French catalogue: it has every text that reaches ``say`` and every sentence that records hold, and no others."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from said_texts import PACKAGE, all_said

from harness.engines.catalogue import engine_kinds
from harness.language.say import retell, speaking
from harness.records.metrics import METRICS, PERPLEXITY
from harness.records.record import Status
from harness.reporting.metric_table import WORDS
from harness.reporting.training import _OF_A_GPU
from harness.speed.disturbance import Usage, reasons

ORIGINS = ("published", "trained", "distilled", "pruned", "random")
UNSAID = ("perplexity", "ratio", "text", "", "bytes", "bytes/s", "op", "op/s", "s", "parameters", "fraction")
"""Units that are shown in a size of their own, or not at all."""
TITLES = {metric.title for metric in METRICS.values()}
UNITS = {metric.unit for metric in METRICS.values()} - {*UNSAID}
STATUSES = {*get_args(Status), "not equivalent"}
PROTOCOL_KEYS = {"protocol", "block size", "joined by", "BOS", "window", "scored", "stride", "documents", "prefix",
                 "text", "mask share", "mask seed", "corrupted", "mean span", "unknown tokens"}  # fmt: skip
REACHING: dict[str, Iterable[str]] = {
    r".*\.title": TITLES,
    r".*\.unit|records/units.py unit": UNITS,
    r".*\.status|.* status(\(row\))?|reporting/glance.py word": STATUSES,
    r".*\.family|.*\.families|reporting/plots/pareto.py name": PERPLEXITY,
    r".*\.origin": ORIGINS,
    r"records/units.py name": ("GiB", "MiB", "KiB"),
    r"reporting/metric_table.py (lead|trail)": WORDS,
    r"reporting/quality.py key.replace\('_', ' '\)": PROTOCOL_KEYS,
    r"reporting/training.py words": [words for words, _, _ in _OF_A_GPU.values()],
    r"reporting/training.py unit": [unit for _, _, unit in _OF_A_GPU.values() if unit],
    r"reporting/plots/sweeps.py unit_along": ("tokens",),
    r"reporting/plots/sweeps.py words": ("batch {at}: {speed}", "{at} tokens: {speed}"),
}
"""What reaches ``say`` from elsewhere in the program, by file and argument."""
PLACE = re.compile(r"\{\w+\}")


@cache
def messages() -> list[Message]:
    with (PACKAGE / "language" / "fr.po").open("rb") as stream:
        return [each for each in read_po(stream) if each.id]


def reaching() -> set[str]:
    """All texts that reach ``say``."""
    found = {text for said in all_said() for text in said.texts or ()}
    return found.union(*REACHING.values())


@cache
def strings_of(source: str) -> str:
    """The texts that stand in a file: literals of Python, those of an f-string apart."""
    text = (PACKAGE.parent / source).read_text(encoding="utf-8")
    if source.endswith(".toml"):
        return text
    found = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    return "\0".join(each for each in found if isinstance(each, str))


def test_of_every_argument_of_say_it_is_known_what_reaches_it():
    """A call with a new variable belongs into ``REACHING``."""
    unknown = [
        f"{said.where}: {said.argument}"
        for said in all_said()
        if said.texts is None
        and not any(re.fullmatch(each, f"{said.where.split(':')[0]} {said.argument}") for each in REACHING)
    ]
    assert unknown == []


@pytest.mark.parametrize("argument", REACHING)
def test_what_reaches_say_by_a_variable_is_translated(argument):
    known = {str(each.id) for each in messages() if each.string}
    assert set(REACHING[argument]) - known == set()


def test_a_text_that_nobody_says_is_not_in_the_catalogue():
    known = {str(each.id) for each in messages() if not each.locations}
    assert known - reaching() == set()


def test_a_stored_sentence_stands_in_the_file_that_is_named_beside_it():
    """By its longest part between places; what a sign joins may stand apart."""
    for message in messages():
        longest = max(re.split(r"\{\w+\}| %|; ", str(message.id)), key=len)
        for source, _ in message.locations:
            assert longest.strip() in strings_of(source), f"{source}: {message.id}"


def test_nothing_is_translated_twice_or_not_at_all():
    ids = [str(each.id) for each in messages()]
    assert len(ids) == len(set(ids))
    assert [each.id for each in messages() if not each.string or each.fuzzy] == []


def test_french_signs_have_spaces_that_do_not_break():
    loose = re.compile(r" [:;!?%»]|« |[^\s\u00a0\u202f][;!?»]|«\S")
    assert [str(each.string) for each in messages() if loose.search(str(each.string))] == []


def suite_titles() -> set[str]:
    """Titles of the shipped suites, of their candidates and of their use cases."""
    found = set()
    for file in (PACKAGE / "suites").glob("*.toml"):
        suite = tomllib.loads(file.read_text(encoding="utf-8"))
        tables = [suite, *suite.get("use_case", []), *suite.get("candidate", {}).values()]
        found |= {str(each["title"]) for each in tables if "title" in each}
    return found


def claim_texts() -> set[str]:
    file = PACKAGE / "selection" / "claims.toml"
    claims = tomllib.loads(file.read_text(encoding="utf-8"))["claim"]
    return {str(each[key]) for each in claims for key in ("text", "source", "unmeasured") if key in each}


def refusals() -> set[str]:
    """What engines say that they lack."""
    return {f"engine '{kind.name}': {why}" for kind in engine_kinds().values() for why in kind.lacks.values()}


def disturbances() -> set[str]:
    return set(reasons(Usage(cores=2, seconds=10.0, own=0.0, busy=5.0, steal=1.0, throttled=0.25)))


@pytest.mark.parametrize("stored", [suite_titles, claim_texts, refusals, disturbances])
def test_what_the_program_itself_stores_is_retold(stored):
    texts = stored()
    assert texts
    with speaking("fr"):
        assert [each for each in texts if retell(each) == each] == []


def test_what_is_retold_of_a_refusal_has_no_english_left():
    english = {why for kind in engine_kinds().values() for why in kind.lacks.values()}
    with speaking("fr"):
        assert [each for each in refusals() if any(why in retell(each) for why in english)] == []


def test_every_protocol_of_a_text_is_named():
    """Values of protocols that are words, as the scoring code writes them."""
    known = {str(each.id) for each in messages()}
    values = set()
    for file in ("causal", "masked", "seq2seq"):
        for node in ast.walk(ast.parse((PACKAGE / "quality" / f"{file}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict) and any(_constant(key) == "protocol" for key in node.keys):
                values |= {_constant(value) for value in node.values}
    assert values - known - {None, "lm-eval", "llama.cpp"} == set()


def _constant(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_sources_that_are_named_exist():
    assert {
        source for each in messages() for source, _ in each.locations if not Path(PACKAGE.parent, source).is_file()
    } == set()
