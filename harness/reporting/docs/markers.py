"""Markers in a Markdown file: where its tables begin and end, and whether what stands between was edited by hand.

A marker is an HTML comment that stands alone on its lines, at the top level of the document. What is one is decided by
a CommonMark parser, so that examples in code are none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from markdown_it import MarkdownIt

from harness.errors import HarnessError, nearest

BEGIN, END = "table", "end"
CHECKSUM_KEY = "sha256"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""Lines as CommonMark ends them (2.1), and no others, so that its line numbers are ours."""
_LIKE_A_MARKER = re.compile(r"<!--\s*harness:", re.IGNORECASE)
_MARKER = re.compile(r" {0,3}<!--\s*harness:([\w-]*)((?:(?!-->).)*)-->[ \t]*(\r\n|\r|\n|\Z)", re.DOTALL)
_SETTING = re.compile(r"""\s+(?:([\w-]+)=("[^"]*"|'[^']*'|[^\s"'=]+))""")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EMPTY = re.compile(r"\s*")
_DEEPEST = 100
"""How deep lists and quotes may nest before the parser gives up; its own 20 is soon reached, and hides what follows."""


@dataclass(frozen=True)
class Block:
    """What stands between two markers. ``settings`` are what the first marker asks for; ``start`` and ``end`` say where
    ``body`` stands in the text, ``checksum_start`` and ``checksum_end`` where the last marker has, or should have, its
    checksum; ``line`` counts from 1."""

    name: str
    settings: Mapping[str, str]
    line: int
    body: str
    start: int
    end: int
    checksum: str | None
    checksum_start: int
    checksum_end: int
    newline: str

    @property
    def by_hand(self) -> bool:
        """Whether the body is not as it was written here: edited since, or never written here and not empty."""
        if self.checksum is None:
            return not _EMPTY.fullmatch(self.body)
        return self.checksum != checksum(self.body)

    def holds(self, text: str) -> bool:
        """Whether the body is this text, however its lines end."""
        return _with_newlines(self.body) == laid_out(text)


@dataclass(frozen=True)
class _Marker:
    word: str
    name: str
    settings: Mapping[str, str]
    line: int
    start: int
    end: int
    newline: str
    checksum_start: int
    checksum_end: int


def find_blocks(text: str, where: str) -> list[Block]:
    """The blocks of a Markdown text, in order.

    Raises HarnessError, with ``where`` and the line, for markers that cannot be read, that are missing, nested, in
    the wrong order, of the same name, or not at the top level.
    """
    blocks: list[Block] = []
    begun: _Marker | None = None
    for marker in _markers(text, where):
        at = f"{where}:{marker.line}"
        if marker.word == BEGIN:
            if begun is not None:
                raise HarnessError(
                    f"{at}: table '{marker.name}' begins inside table '{begun.name}' of line {begun.line}; "
                    f"expected <!-- harness:end name={begun.name} --> before it"
                )
            if same := next((block for block in blocks if block.name == marker.name), None):
                raise HarnessError(f"{at}: there is a table '{marker.name}' already, on line {same.line}")
            begun = marker
        elif begun is None:
            raise HarnessError(f"{at}: table '{marker.name}' ends without having begun")
        elif begun.name != marker.name:
            raise HarnessError(
                f"{at}: table '{marker.name}' ends inside table '{begun.name}' of line {begun.line}; "
                f"expected <!-- harness:end name={begun.name} -->"
            )
        else:
            blocks.append(_block(text, begun, marker))
            begun = None
    if begun is not None:
        raise HarnessError(
            f"{where}:{begun.line}: table '{begun.name}' has no end; expected <!-- harness:end name={begun.name} --> "
            "on a line of its own, where the table shall end"
        )
    return blocks


def filled(text: str, blocks: list[Block], contents: Mapping[str, str]) -> str:
    """The text with new contents, by name, between the markers of some blocks, and their checksums in the end markers.
    Every other letter stays."""
    parts, done = [], 0
    for block in blocks:
        if block.name not in contents:
            continue
        body = laid_out(contents[block.name])
        value = checksum(body)
        parts += [text[done : block.start], body.replace("\n", block.newline)]
        parts += [
            text[block.end : block.checksum_start],
            value if block.checksum is not None else f" {CHECKSUM_KEY}={value}",
        ]
        done = block.checksum_end
    return "".join([*parts, text[done:]])


def laid_out(text: str) -> str:
    """A text as it stands between markers: with an empty line before and after it, which some renderers need to see
    that the comments are over, and lines that end in ``\\n``."""
    return "\n" + _with_newlines(text).strip("\n") + "\n\n"


def checksum(body: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a body, however its lines end."""
    return hashlib.sha256(_with_newlines(body).encode("utf-8")).hexdigest()[:16]


def _markers(text: str, where: str) -> Iterator[_Marker]:
    starts = [0, *(line.end() for line in _LINE.finditer(text))]
    for token in _parser().parse(text):
        if token.level >= _DEEPEST - 2:
            raise HarnessError(f"{where}: lists or quotes are nested too deeply to tell what follows them")
        if token.map is None or not _LIKE_A_MARKER.search(token.content):
            continue
        first, last = token.map
        if token.type == "html_block":
            source = text[starts[first] : starts[min(last, len(starts) - 1)]]
            line = 1 + first + _lines_before_marker(source)
            yield _read(source, token.level, starts[first], line, f"{where}:{line}")
        elif token.type == "inline" and (comment := _inline_comment(token.content)):
            line = 1 + first + token.content[: token.content.find(comment)].count("\n")
            raise HarnessError(f"{where}:{line}: a marker stands alone on its line, not in a paragraph or a heading")


def _read(source: str, level: int, start: int, line: int, at: str) -> _Marker:
    """A marker from the HTML that it stands in, which begins at ``start`` of the text."""
    found = _MARKER.fullmatch(source)
    if level > 0:
        raise HarnessError(f"{at}: a marker stands at the top level of the document, not in a list or a quote")
    if found is None:
        how = "with no other HTML right before it and nothing after its '-->'"
        raise HarnessError(f"{at}: a marker stands alone on its lines, {how}")
    word, inside, newline = found.groups()
    if word not in (BEGIN, END):
        raise HarnessError(f"{at}: unknown marker 'harness:{word}'{nearest(word, (BEGIN, END))}")
    settings, places = _settings(inside, at)
    name = settings.pop("name", None)
    if name is None:
        raise HarnessError(f"{at}: harness:{word} has no name; expected name=some-name")
    if not _NAME.fullmatch(name):
        letters = "letters, digits, '.', '_' and '-', a letter or digit first"
        raise HarnessError(f"{at}: '{name}' is no name for a table: {letters}")
    place = places["name"][1], places["name"][1]
    if word == END:
        place = places.get(CHECKSUM_KEY, place)
        if unknown := next((key for key in settings if key != CHECKSUM_KEY), None):
            raise HarnessError(f"{at}: harness:end takes name and {CHECKSUM_KEY}, not '{unknown}'")
    begins = start + found.start(2)
    sum_start, sum_end = (begins + each for each in place)
    return _Marker(word, name, settings, line, start, start + len(source), newline, sum_start, sum_end)


def _settings(inside: str, at: str) -> tuple[dict[str, str], dict[str, tuple[int, int]]]:
    """The ``key=value`` of a marker, and where each value stands in it."""
    settings: dict[str, str] = {}
    places: dict[str, tuple[int, int]] = {}
    done = 0
    while found := _SETTING.match(inside, done):
        key, value = found.groups()
        if not value.isprintable():
            raise HarnessError(f"{at}: the value of '{key}' has a line break or a control character")
        if key in settings:
            raise HarnessError(f"{at}: '{key}' is given twice")
        settings[key] = value[1:-1] if value[0] in "\"'" else value
        places[key] = found.span(2)
        done = found.end()
    if rest := inside[done:].strip():
        shown = rest if len(rest) <= 40 else rest[:40] + "…"
        raise HarnessError(f'{at}: cannot read {" ".join(shown.split())!r}; expected key=value or key="some value"')
    return settings, places


def _block(text: str, begin: _Marker, end: _Marker) -> Block:
    return Block(
        begin.name,
        begin.settings,
        begin.line,
        text[begin.end : end.start],
        begin.end,
        end.start,
        end.settings.get(CHECKSUM_KEY),
        end.checksum_start,
        end.checksum_end,
        begin.newline,
    )


def _parser() -> MarkdownIt:
    """A CommonMark parser of blocks, which leaves what stands in paragraphs alone: that is seldom needed, and slow."""
    parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST})
    return parser.disable(["inline", "text_join"])


def _inline_comment(content: str) -> str | None:
    """The first comment in a paragraph that looks like a marker; none in code. Of Markdown only what takes precedence
    over a comment is read (6.1 to 6.6), because links take long where there are many brackets."""
    parser = MarkdownIt("zero", {"html": True}).enable(["escape", "backticks", "autolink", "html_inline"])
    (paragraph,) = parser.parseInline(content)
    html = (child.content for child in paragraph.children or () if child.type == "html_inline")
    return next((each for each in html if _LIKE_A_MARKER.match(each)), None)


def _lines_before_marker(source: str) -> int:
    """How many lines of other HTML stand before the marker."""
    found = _LIKE_A_MARKER.search(source)
    return len(_LINE.findall(source[: found.start()] + "<")) - 1 if found else 0


def _with_newlines(text: str) -> str:
    return re.sub(r"\r\n?", "\n", text)
