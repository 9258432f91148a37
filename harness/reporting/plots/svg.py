"""matplotlib's SVG made fit for pages: light and dark, told to screen readers, with hover, and safe to stand inline."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping

_TAG = re.compile(r"<[^<>]+>")
_ATTRIBUTE = re.compile(r'\s([\w:-]+)="([^"]*)"')
_REFERENCE = re.compile(r'(?:href="|url\()#([^")]+)')
_LONG_NUMBER = re.compile(r"(\.\d\d)\d+")
SEPARATOR = "\x1e"
"""Stands between the texts of a gid ``hovers:``; no text from outside can hold it."""
_FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',Arial,sans-serif"
_COORDINATES = ("d", "x", "y", "transform", "width", "height")


def themed(raw: str, name: str, title: str, alt: str, colours: Mapping[str, tuple[str, str]], paper: str) -> str:
    """What matplotlib wrote, without its prologue, as one ``<svg>``.

    ``colours`` gives each placeholder colour its light and its dark one; they become classes, which a style sheet fills
    in by ``prefers-color-scheme``; ``paper`` is the placeholder of the background. All ids begin with the plot's name
    and all style rules hold inside it only, so that many plots can stand in one page. A gid ``hover:TEXT`` becomes a
    ``<title>`` of its element, one of ``hovers:`` those of its markers.
    """
    root = f"plot-{name}"
    opening, body = raw[raw.index("<svg") :].split("</style>", 1)
    body = body.split("</defs>", 1)[1]
    referred = set(_REFERENCE.findall(body))
    classes = {colour: f"c{number}" for number, colour in enumerate(colours)}
    titles: Iterator[str] = iter(())

    def mended(match: re.Match[str]) -> str:
        nonlocal titles
        tag = match.group()
        if tag.startswith('<g id="hovers:'):
            titles = iter(html.unescape(tag.split('"')[1]).removeprefix("hovers:").split(SEPARATOR))
            return "<g>"
        ours = _tag(tag, root, referred, classes)
        title = next(titles, None) if tag.startswith("<use") else None
        return f"{ours[:-2]}><title>{title}</title></use>" if title else ours

    body = _TAG.sub(mended, body)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', opening)
    assert box is not None, "matplotlib writes a viewBox"
    width, height = (round(float(side) * 4 / 3) for side in box.groups())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{root}" role="img" aria-label="{html.escape(alt)}" '
        f'viewBox="0 0 {box[1]} {box[2]}" width="{width}" height="{height}">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_style_sheet(root, classes, colours, paper)}</style>"
    )
    return head + re.sub(r"\n\s*", "\n", body)


def _style_sheet(root: str, classes: Mapping[str, str], colours: Mapping[str, tuple[str, str]], paper: str) -> str:
    def rules(side: int) -> str:
        return "".join(
            f"#{root} .f{name}{{fill:{colours[colour][side]}}}#{root} .s{name}{{stroke:{colours[colour][side]}}}"
            for colour, name in classes.items()
        )

    def halo(side: int) -> str:
        return f"#{root} .halo text{{paint-order:stroke;stroke:{colours[paper][side]};stroke-width:3px}}"

    return (
        f"#{root}{{max-width:100%;height:auto}}#{root} *{{stroke-linejoin:round;stroke-linecap:butt}}"
        f"#{root} text{{font-family:{_FONTS}}}{halo(0)}{rules(0)}"
        f"@media (prefers-color-scheme:dark){{{halo(1)}{rules(1)}}}"
    )


def _tag(tag: str, root: str, referred: set[str], classes: Mapping[str, str]) -> str:
    """A tag with its references inside the plot, its placeholder colours as classes and its gid as a title."""
    attributes = dict(_ATTRIBUTE.findall(tag))
    if not attributes:
        return tag
    name = re.match(r"<([\w:]+)", tag)
    assert name is not None, tag
    kept, title, named = {}, "", []
    style = [tuple(each.split(": ", 1)) for each in attributes.pop("style", "").split("; ") if ": " in each]
    style += [("fill", attributes.pop("fill"))] if "fill" in attributes else []
    rest = []
    for key, value in style:
        if key in ("fill", "stroke") and value in classes:
            named.append(key[0] + classes[value])
        elif key != "font-family":
            rest.append(f"{key}:{_inside(value, root)}")
    for key, value in attributes.items():
        if key == "id":
            if value.startswith("hover:"):
                title = f"<title>{html.unescape(value).removeprefix('hover:')}</title>"
            elif value == "halo":
                named.append("halo")
            elif value in referred:
                kept["id"] = f"{root}-{value}"
        elif key == "xlink:href":
            kept["href"] = value.replace("#", f"#{root}-", 1)
        elif key != "transform" or not value.startswith("rotate(-0 "):
            text = " ".join(value.split()) if key in _COORDINATES else _inside(value, root)
            kept[key] = _LONG_NUMBER.sub(r"\1", text) if key in _COORDINATES else text
    kept |= {"class": " ".join(named)} if named else {}
    kept |= {"style": ";".join(rest)} if rest else {}
    end = "/>" if tag.endswith("/>") else ">"
    return f"<{name[1]}" + "".join(f' {key}="{value}"' for key, value in kept.items()) + end + title


def _inside(value: str, root: str) -> str:
    return value.replace("url(#", f"url(#{root}-")
