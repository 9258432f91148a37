"""Plots that stand inside a page: SVG that shows and does nothing else."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from markupsafe import Markup

_ACTIVE = {"script", "foreignObject", "iframe", "handler", "listener"}
_LOADING = re.compile(r"url\((?!\s*['\"]?\s*(?:#|data:))", re.IGNORECASE)


def drawing(svg: str) -> Markup:
    """The ``<svg>`` element of a file, to stand in HTML.

    Raises ValueError for one that would run something, or load something from elsewhere; plots are made by us, so it
    would be our mistake.
    """
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        name = _local(element.tag)
        if name in _ACTIVE:
            raise ValueError(f"a plot holds <{name}>")
        for attribute, value in element.attrib.items():
            if _local(attribute).lower().startswith("on"):
                raise ValueError(f"a plot holds the handler {_local(attribute)}")
            if _local(attribute) in ("href", "src") and not value.startswith(("#", "data:image/")):
                raise ValueError(f"a plot refers to {value}")
            if _LOADING.search(value):
                raise ValueError(f"a plot loads {value}")
        if name == "style" and ("@import" in (element.text or "") or _LOADING.search(element.text or "")):
            raise ValueError("the style of a plot loads something")
    return Markup(svg[svg.index("<svg") :])


def _local(name: str) -> str:
    """A name without its namespace: ``{http://www.w3.org/2000/svg}path`` is ``path``."""
    return name.rpartition("}")[2]
