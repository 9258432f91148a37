"""Sentences in the reader's language. Code writes English; a catalogue, ``LANGUAGE.po``, holds the others.

Like gettext's ``_``, :func:`say` is called where a text is made, and what language it comes out in is set around the
rendering by :func:`speaking`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel.messages import Message

LANGUAGES = ("en", "fr")
"""What reports can be written in; English is what the code says."""

_LANGUAGE: ContextVar[str] = ContextVar("language", default="en")
_PLACE = re.compile(r"\{(\w+)\}")
_NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?(e[+-][0-9]+)?")


def say(text: str, /, **values: object) -> str:
    """A text in the language that is spoken, with its ``{places}`` filled in. One without a translation stays
    English."""
    spoken = _catalogue(_LANGUAGE.get()).get(text, text)
    return spoken.format(**values) if values else spoken


def retell(text: str) -> str:
    """The translation of a finished sentence, such as a reason that was stored in English: found by the text, or by
    the pattern that it was made from. In patterns a place ``reason`` holds a sentence and ``words`` a list of words
    with commas, which are retold too. What nothing matches (an error of another program) stays as it is."""
    language = _LANGUAGE.get()
    catalogue = _catalogue(language)
    if not catalogue or text in catalogue:
        return catalogue.get(text, text)
    for pattern, spoken in _patterns(language):
        if match := pattern.fullmatch(text):
            return spoken.format(**{name: _retold(name, value) for name, value in match.groupdict().items()})
    return text


def digits(number: str) -> str:
    """A number as English writes it, with the separators of the language: ``1,036.5`` is ``1 036,5`` in French."""
    if _LANGUAGE.get() == "fr" and _NUMBER.fullmatch(number):
        return number.replace(",", "\u202f").replace(".", ",")
    return number


def spoken_language() -> str:
    """The code of the language that is spoken, such as ``en``."""
    return _LANGUAGE.get()


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak one of ``LANGUAGES`` inside the block. Raises ValueError for another one."""
    if language not in LANGUAGES:
        raise ValueError(f"expected {' or '.join(LANGUAGES)}, not '{language}'")
    token = _LANGUAGE.set(language)
    try:
        yield
    finally:
        _LANGUAGE.reset(token)


def _retold(place: str, value: str) -> str:
    match place:
        case "reason":
            return retell(value)
        case "words":
            return ", ".join(map(retell, value.split(", ")))
        case _:
            return digits(value)


@cache
def _messages(language: str) -> Sequence[Message]:
    from babel.messages.pofile import read_po

    with (files("harness.language") / f"{language}.po").open("rb") as stream:
        return [each for each in read_po(stream) if each.id and each.string]


@cache
def _catalogue(language: str) -> Mapping[str, str]:
    """English to another language; empty for English."""
    return {} if language == "en" else {str(each.id): str(each.string) for each in _messages(language)}


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Texts with places that records hold, as patterns: those for which the catalogue names the file that makes them
    (``#:``). The longest come first, so that the one that says most is found."""
    found = []
    stored = {str(each.id): str(each.string) for each in _messages(language) if each.locations}
    for text, spoken in sorted(stored.items(), key=lambda item: -len(_PLACE.sub("", item[0]))):
        if _PLACE.search(text):
            parts = _PLACE.split(text)
            seen: set[str] = set()
            shown = ""
            for index, part in enumerate(parts):
                if index % 2 == 0:
                    shown += re.escape(part)
                else:
                    shown += f"(?P={part})" if part in seen else f"(?P<{part}>.+?)"
                    seen.add(part)
            found.append((re.compile(shown, re.DOTALL), spoken))
    return found
