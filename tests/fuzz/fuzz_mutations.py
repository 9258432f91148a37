"""Damage to real files: bytes, lines and values changed at random, all drawn from one generator of random numbers."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

DEEP = 10_000
"""How deep brackets nest: ten times what Python's stack takes."""
_BRACKETS = "@the place of many brackets@"

CHUNKS: tuple[bytes, ...] = (
    b"\0",
    b"\0" * 64,
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",  # half a surrogate pair as UTF-8 would write it
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"9223372036854775808",
    b"9" * 5000,
    b"0x" + b"f" * 8000,
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b"x = " + b"[" * DEEP + b"]" * DEEP,
    b"x." * 3000 + b"y = 1\n",
    b'"',
    b"'''",
    b"\n",
    b"\r",
    b"\n\n",
    b"../../../escaped",
    b"~nobody-of-this-name/x",
    b"{}",
    b"null",
    b"%s{0}{x}",
    b"<!-- harness:end name=a -->\n",
    b"> " * 300,
    b"- " * 300,
    "é\u2028\u202e🦙".encode(),
)
"""What is put into files."""

INTEGERS = (0, 1, 2, 7, 8, 127, 128, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63,
            2**64 - 1)  # fmt: skip

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    0.5,
    -1.5,
    1e308,
    -1e308,
    5e-324,
    float("nan"),
    float("inf"),
    "",
    " ",
    "12",
    "nan",
    "\ud800",
    "\0",
    "a\nb",
    "a/b/c/d",
    "../../../escaped",
    "/",
    "~nobody-of-this-name/x",
    "{0}{x}%s",
    "x" * 10_000,
    "9" * 5000,
    "2026-13-45T99:99:99",
    [],
    [None],
    [1, "a", {}],
    [[]],
    {},
    {"": 1},
    {"document": "x", "nll": None},
    {"metric": "perplexity"},
    _BRACKETS,
)
"""What takes the place of values in JSON."""

TOML_VALUES = ("", "0", "-1", "1e400", "nan", "inf", "true", '""', "''", "[]", "{}", '"x"', '"a/b"', '"../../x"',
               "9223372036854775808", "0x" + "f" * 5000, "9" * 5000, "1979-05-27", "07:32:00", "[[1]]", '["", ""]',
               '"\\u0000"', '"""a\nb"""', "{a = {b = 1}}", "[" * DEEP + "]" * DEEP, "{a=" * 2000 + "1" + "}" * 2000,
               '"~nobody-of-this-name/x"', '"text:"', '"sotu:x"', '["a", 1]', "1_000", "00", '"' + "x" * 10_000 + '"',
               '"%s{0}"', '"peak_memory <= 1 GiB"', '["peak_memory <= -1e999 GiB"]')  # fmt: skip


def damaged(rng: Random, content: bytes, others: Sequence[bytes] = (), most: int = 4) -> bytes:
    """A file's content after one to ``most`` changes to its bytes and lines; ``others`` lend it pieces."""
    found = content
    for _ in range(rng.randint(1, most)):
        found = rng.choice(_CHANGES)(rng, found, others)
    return found


def damaged_numbers(rng: Random, content: bytes, within: int) -> bytes:
    """Binary content with one to three little-endian numbers among its first bytes overwritten."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        width = rng.choice((1, 2, 4, 8))
        start = rng.randrange(max(1, min(within, len(found))))
        found[start : start + width] = (rng.choice(INTEGERS) % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(found)


def damaged_value(rng: Random, value: Any, most: int = 3) -> Any:
    """A JSON value after one to ``most`` changes: values replaced, keys taken away, renamed or added, lists changed."""
    found = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, most)):
        found = _changed_value(rng, found)
    return found


def damaged_alike(rng: Random, value: Any) -> Any:
    """A value with numbers and texts in it replaced by odd ones of their own type."""
    if isinstance(value, dict):
        return {key: damaged_alike(rng, each) if rng.random() < 0.3 else each for key, each in value.items()}
    if isinstance(value, list):
        return [damaged_alike(rng, each) if rng.random() < 0.3 else each for each in value]
    kind = float if type(value) is int else type(value)
    alike = [each for each in VALUES if type(each) is kind] or [value]
    return rng.choice([*alike, *INTEGERS, 0, -1] if kind is float else alike)


def as_json(value: Any) -> str:
    """JSON with NaN, infinities, half surrogate pairs and many brackets, where a value has them."""
    return json.dumps(value).replace(f'"{_BRACKETS}"', "[" * DEEP + "]" * DEEP)


def damaged_toml(rng: Random, text: str, most: int = 3) -> str:
    """TOML with the values of some keys replaced, or keys renamed, by what TOML allows or nearly does."""
    lines = text.split("\n")
    places = [index for index, line in enumerate(lines) if _SETTING.match(line)]
    for _ in range(rng.randint(1, most)):
        if not places:
            break
        index = rng.choice(places)
        if (setting := _SETTING.match(lines[index])) is None:
            continue
        key, value = setting.groups()
        lines[index] = rng.choice((f"{key}= {rng.choice(TOML_VALUES)}", f"{key.strip()}x = {value}", f"{key}.x = 1"))
    return "\n".join(lines)


_SETTING = re.compile(r"^(\s*[\w.-]+\s*)=(.*)$")


def _changed_value(rng: Random, value: Any) -> Any:
    """The value with one place in it changed, at any depth."""
    children = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not children or rng.random() < 0.15:
        return copy.deepcopy(rng.choice(VALUES))
    place = rng.choice(children)
    deeper = isinstance(value[place], dict | list) and len(value[place]) > 0
    if deeper and rng.random() < 0.75:
        value[place] = _changed_value(rng, value[place])
        return value
    match rng.randrange(6):
        case 0:
            del value[place]
        case 1 if isinstance(value, dict):
            value[rng.choice(("", "x", "metric", "value", f"{place}s"))] = value.pop(place)
        case 1 | 2 if isinstance(value, list):
            value.insert(place, copy.deepcopy(rng.choice(value)))
        case 2:
            value[place] = copy.deepcopy(value[rng.choice(children)])
        case _:
            value[place] = copy.deepcopy(rng.choice(VALUES))
    return value


def _flip(rng: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    found = bytearray(content)
    for _ in range(rng.randint(1, 8) if found else 0):
        found[rng.randrange(len(found))] = rng.randrange(256)
    return bytes(found)


def _insert(rng: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    place = rng.randint(0, len(content))
    return content[:place] + rng.choice(CHUNKS) + content[place:]


def _overwrite(rng: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    place, chunk = rng.randint(0, len(content)), rng.choice(CHUNKS)
    return content[:place] + chunk + content[place + min(len(chunk), 8) :]


def _cut_short(rng: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    return content[: rng.randint(0, len(content))]


def _take_away(rng: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    start = rng.randint(0, len(content))
    return content[:start] + content[start + rng.choice((1, 2, 16, 256)) :]


def _twice(rng: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    start = rng.randint(0, len(content))
    piece = content[start : start + rng.choice((1, 8, 64, 1024))]
    return content[:start] + piece * rng.choice((2, 3, 50)) + content[start + len(piece) :]


def _graft(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    if not others:
        return content
    other = rng.choice(others)
    return content[: rng.randint(0, len(content))] + other[rng.randint(0, len(other)) :]


def _swap_lines(rng: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _repeat_line(rng: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    lines.insert(rng.randint(0, len(lines)), rng.choice(lines))
    return b"\n".join(lines)


def _drop_line(rng: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    del lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


_CHANGES: tuple[Callable[[Random, bytes, Sequence[bytes]], bytes], ...] = (
    _flip, _insert, _insert, _overwrite, _cut_short, _take_away, _twice, _graft, _swap_lines, _repeat_line, _drop_line
)  # fmt: skip
