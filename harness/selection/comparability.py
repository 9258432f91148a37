"""What two runs differ in, and which of it forbids to compare their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from harness.records.machines import machines_of
from harness.records.metrics import PERPLEXITY
from harness.records.rows import Row
from harness.records.units import quantity
from harness.records.values import Value
from harness.selection.comparison import TOKENIZER_BOUND

MACHINE = ("cpu", "isa", "cores", "memory_bytes", "gpus", "system", "python", "threads")
"""What of the environment decides whether timings compare, beside the versions of packages."""
_TITLES = {"memory_bytes": "memory", "isa": "ISA", "cpu": "CPU", "gpus": "GPUs", "python": "Python"}
_OUTCOMES = ("tokens_scored", "unknown_tokens", "baseline_bytes")
"""Keys of a protocol that tell what came out; they need not be equal."""
_SCORED_TEXT = ("split", "excerpt_bytes", "mask_share", "mask_seed")
_DEALT = ("seed", "context_words", "continuation_words", "right_words")
_OF_TEXT = (*PERPLEXITY.values(), "bits_per_byte", "word_perplexity", "byte_perplexity", "batched_perplexity")
_SHOWN = 3


def machine_differences(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs of machine, software, threads and timing protocol, from what ``run.json`` says: where anything
    does, times and memory do not compare. Machines of a kind are held against those of the same kind."""
    pairs = [(a, b) for a, b in product(machines_of(base), machines_of(new)) if a.kind == b.kind]
    found = [
        f"machine {one.kind}: {each}" if one.kind else each
        for one, other in pairs
        for each in _of_machine(one.environment, other.environment)
    ]
    return [*dict.fromkeys(found), *_of_suite(base, new, "timing")]


def text_differences(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs of the text that is scored: where anything does, no quality compares."""
    before, after = _table(base, "corpus"), _table(new, "corpus")
    found = []
    if before.get("hash") != after.get("hash"):
        names = [str(each.get("name", "none")) for each in (before, after)]
        found.append(f"corpus {names[0]}: other text" if names[0] == names[1] else f"corpus: {' against '.join(names)}")
    return found + _of_suite(base, new, "evaluation", _SCORED_TEXT)


def item_differences(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs of how items are dealt: where anything does, measures of items do not compare."""
    return _of_suite(base, new, "items", _DEALT)


def told_differences(base: Mapping[str, Any], new: Mapping[str, Any], pairs: Iterable[tuple[Row, Row]]) -> list[str]:
    """What differs and forbids nothing, since it may be the very change that is judged: revision and weights."""
    before, after = _table(base, "environment"), _table(new, "environment")
    found = _differing(before, after, ("commit", "dirty", "governor"), {"dirty": "uncommitted changes"})
    hashes = {b.variant: {b.subject.weights_hash, n.subject.weights_hash} for b, n in pairs}
    other = [variant for variant, both in hashes.items() if len(both) > 1 and "" not in both]
    return [*found, f"weights of {_few(other)}"] if other else found


def why_not(base: Row, new: Row, metric: str, text: Sequence[str], items: Sequence[str]) -> str:
    """Why a quality metric of two rows is not comparable, empty where it is. ``text`` and ``items`` are the
    differences of the runs."""
    differing = [*text, *(items if metric not in _OF_TEXT else ())]
    if differing:
        return f"scored on something else: {_few(differing)}"
    if metric in TOKENIZER_BOUND and base.subject.tokenizer_hash != new.subject.tokenizer_hash:
        return "the tokenizers differ, and this is counted a token"
    return protocol_reason(base.metrics[metric], new.metrics[metric])


def protocol_reason(base: Value, new: Value) -> str:
    """Which keys of the protocols of two values differ, empty where none does."""
    keys = [key for key in _keys(base.protocol, new.protocol) if key not in _OUTCOMES]
    differing = _differing(base.protocol, new.protocol, keys)
    return f"the protocols differ: {_few(differing)}" if differing else ""


def machine_reason(differences: Sequence[str]) -> str:
    """Why times and memory are not comparable, empty where nothing differs."""
    return f"measured under other conditions: {_few(differences)}" if differences else ""


def _of_machine(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    found = _differing(before, after, MACHINE, _TITLES)
    versions = _table(before, "versions"), _table(after, "versions")
    for package in _keys(*versions):
        one, other = (each.get(package, "none") for each in versions)
        if one != other:
            found.append(f"{package} {one} against {other}")
    return found


def _of_suite(
    base: Mapping[str, Any], new: Mapping[str, Any], table: str, keys: Sequence[str] | None = None
) -> list[str]:
    one, other = (_table(_table(info, "suite"), table) for info in (base, new))
    return [f"{table}.{each}" for each in _differing(one, other, keys)]


def _differing(
    base: Mapping[str, Any],
    new: Mapping[str, Any],
    keys: Sequence[str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> list[str]:
    found = []
    for key in _keys(base, new) if keys is None else keys:
        one, other = _plain(base.get(key)), _plain(new.get(key))
        if one != other:
            title = (titles or {}).get(key, key.replace("_", " ") if titles else key)
            found.append(f"{title}: {_both(key, one, other)}")
    return found


def _both(key: str, one: Any, other: Any) -> str:
    shown = [_word(key, each) for each in (one, other)]
    return " against ".join(shown if shown[0] != shown[1] else [str(one), str(other)])


def _word(key: str, value: Any) -> str:
    if value is None:
        return "not said"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return quantity(value, "bytes") if key == "memory_bytes" and isinstance(value, int | float) else str(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _few(words: Sequence[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return "; ".join(words[:_SHOWN]) + more


def _keys(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*base, *new]))


def _table(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = parent.get(key)
    return found if isinstance(found, Mapping) else {}
