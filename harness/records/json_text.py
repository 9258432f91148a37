"""JSON from files that anybody may have changed: what Python's parser takes and a reader cannot use is refused."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises ValueError, saying why, for what is no JSON, and for what is none by the standard (RFC 8259) though Python
    reads it: NaN and infinities, brackets nested beyond what the stack takes, and half a surrogate pair, which no file
    can hold.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    if "\\ud" in text or "\\uD" in text:
        _refuse_half_pairs(value)
    return value


def _refuse_half_pairs(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise ValueError(f"\\u{code:04x} is half a surrogate pair") from None
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
