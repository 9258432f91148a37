"""Documents to make items of: random ones for hypothesis, and distinct ones that hold as many items as asked for."""

from __future__ import annotations

from hypothesis import strategies as st

from harness.corpora.corpus import Document

_WORDS = ["the", "a", "river", "bridge", "cafe\u0301", "don't", "well-known", '"peace', "road,", "school;"]
_CAPITALS = ["The", "Naïve"]
_ENDS = ["week.", "he?", "glad!", "(so)."]
_SPACES = [" ", " ", "\n", "  ", "\t\n", "\u00a0"]


def _spaced(sentences: list[list[str]], spaces: list[str]) -> str:
    words = [word for sentence in sentences for word in sentence]
    return "".join(word + spaces[i % len(spaces)] for i, word in enumerate(words))


_sentence = st.builds(
    lambda first, interior, last: [first, *interior, last],
    st.sampled_from(_CAPITALS),
    st.lists(st.sampled_from(_WORDS + _CAPITALS), min_size=2, max_size=10),
    st.sampled_from(_ENDS),
)
_text = st.builds(
    _spaced,
    st.lists(_sentence, min_size=3, max_size=8),
    st.lists(st.sampled_from(_SPACES), min_size=1, max_size=5),
)
documents = st.lists(st.just("") | _text | _text | _text, max_size=4).map(
    lambda texts: [Document(str(i), text) for i, text in enumerate(texts)]
)
seeds = st.integers(0, 2**40)


def normalised(document: Document) -> str:
    """A document's text with single spaces for white space."""
    return " ".join(document.text.split())


def letters(name: str, sentences: int = 30) -> Document:
    """A document of sentences of eight words, that shares no sentence with one of another name."""

    def word(number: int) -> str:
        return name + "".join(chr(ord("a") + int(digit)) for digit in f"{number:04d}")

    def sentence(first: int) -> str:
        return " ".join(["The", *(word(first * 10 + i) for i in range(6)), "end."])

    return Document(name, "\n".join(sentence(i) for i in range(sentences)))
