"""A run that was opened, for scripts and notebooks: its records, tables, plots, recommendations and reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import HarnessError, nearest
from harness.records.baselines import Baseline
from harness.records.damage import told_as_damage
from harness.records.record import Record
from harness.records.rows import Row, make_rows
from harness.records.run_folder import RunFolder, write_whole
from harness.selection.claims import Judged
from harness.selection.recommend import Recommendation

if TYPE_CHECKING:
    import pandas

Language = Literal["en", "fr"]


@dataclass(frozen=True)
class Figure:
    """A plot of a run. ``name`` is a file's stem, ``alt`` says in words what is to be seen; notebooks show it."""

    name: str
    title: str
    alt: str = field(repr=False)
    svg: str = field(repr=False)

    def save(self, path: str | Path) -> None:
        """Write the SVG. Raises HarnessError where it cannot."""
        _write(Path(path).expanduser(), self.svg)

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True)
class Recommended:
    """What to use for a use case: ``variant``, None where none qualifies, and those that are ``tied``: as good as far
    as the data can tell. ``words`` is the paragraph of the report, in Markdown; ``details`` has what it was made from:
    rivals and why they lost, limits, how sure it is."""

    title: str
    variant: str | None
    tied: tuple[str, ...]
    words: str = field(repr=False)
    details: Recommendation = field(repr=False)

    def _repr_markdown_(self) -> str:
        from harness.language.markup import plain

        return f"**{plain(self.title)}.** {self.words}"


@dataclass(frozen=True, repr=False)
class Run:
    """A run, finished or not, or a baseline. Everything is read anew each time, so a run that goes on is seen to.

    ``path`` is its folder, or the baseline's file.
    """

    path: Path
    kept: RunFolder | Baseline

    @property
    def name(self) -> str:
        """The name of its folder; of a baseline, the name that it was saved under."""
        return self.kept.name

    @property
    def info(self) -> dict[str, Any]:
        """What ``run.json`` says: suite, corpus, environment, command."""
        return self.kept.info

    def records(self) -> list[Record]:
        """Records of finished tasks, as they are stored. Raises HarnessError where they are damaged."""
        return self.kept.store.finished() if isinstance(self.kept, RunFolder) else self.kept.records()

    def rows(self) -> list[Row]:
        """A row a variant: its status, and its metrics with intervals."""
        with self._reading():
            return make_rows(self.kept.records())

    def frame(self) -> pandas.DataFrame:
        """Records as a pandas frame, a line a fact, in the unit of its metric."""
        from harness.records.frame import frame

        with self._reading():
            return frame(self.records())

    def table(self) -> pandas.DataFrame:
        """Rows by metrics as a pandas frame, in the unit of each metric (``harness list metrics``), NaN where there is
        no value. Where a metric has 95 % intervals, ``METRIC_low`` and ``METRIC_high`` stand beside it."""
        from harness.records.row_frame import row_frame

        with self._reading():
            return row_frame(self.rows())

    def recommendations(self, lang: Language = "en") -> dict[str, Recommended]:
        """What to use, by the title of each use case of the suite."""
        from harness.selection.use_cases import use_cases_of

        rows = self.rows()
        with self._reading(lang):
            cases = use_cases_of(self.info.get("suite", {}))
            return {case.title: _recommended(rows, case) for case in cases}

    def recommendation(self, title: str, lang: Language = "en") -> Recommended:
        """What to use for one use case. Raises HarnessError for a title that the suite does not have."""
        from harness.selection.use_cases import use_cases_of

        with self._reading():
            cases = {case.title: case for case in use_cases_of(self.info.get("suite", {}))}
        if title not in cases:
            raise HarnessError(f"run '{self.name}' has no use case '{title}'{nearest(title, cases)}")
        with self._reading(lang):
            return _recommended(self.rows(), cases[title])

    def claims(self, path: str | Path | None = None) -> list[Judged]:
        """The shipped claims about models, or those of a file, held against the run."""
        from harness.selection.claims import judge
        from harness.selection.claims_file import read_claims, shipped_claims

        claims = read_claims(Path(path).expanduser()) if path else shipped_claims()
        with self._reading():
            return judge(claims, self.rows())

    def figures(self, lang: Language = "en") -> list[Figure]:
        """The plots of the report, of what was measured."""
        from harness.reporting.plots.gallery import plots

        records = self.kept.records()
        with self._reading(lang):
            drawn = plots(records, make_rows(records))
        return [Figure(plot.name, plot.title, plot.alt, plot.svg) for plot in drawn]

    def report(self, lang: Language = "en") -> str:
        """The report as Markdown, without plots."""
        from harness.reporting.markdown import report

        with self._reading(lang):
            return report(self.kept, self.claims())

    def html(self, lang: Language = "en") -> str:
        """The report with its plots as one HTML file."""
        from harness.reporting.page.render import report_html

        with self._reading(lang):
            return report_html(self.kept, self.claims())

    def model_card(self, candidate: str | None = None, lang: Language = "en") -> str:
        """The hub's model card of a candidate, which may be left out where the run has one."""
        from harness.reporting.model_card import model_card

        with self._reading(lang):
            return model_card(self.kept, candidate)

    def write_report(self, path: str | Path, lang: Language = "en") -> None:
        """Write the report as ``.html``, or as ``.md`` with its plots in a folder beside it.

        Raises HarnessError for another kind of file, and where it cannot write.
        """
        from harness.reporting.markdown import write_report

        file = Path(path).expanduser()
        if file.suffix not in (".html", ".md"):
            raise HarnessError(f"a report is written as .md or .html, not as '{file.name}'")
        if file.suffix == ".html":
            _write(file, self.html(lang))
        else:
            with self._reading(lang):
                write_report(self.kept, file, self.claims())

    @contextmanager
    def _reading(self, lang: str = "en") -> Iterator[None]:
        """A block that speaks a language, and in which what goes wrong tells of a damaged run in one line."""
        from harness.language.say import LANGUAGES, speaking

        if lang not in LANGUAGES:
            raise HarnessError(f"lang: expected {' or '.join(LANGUAGES)}, not '{lang}'")
        with told_as_damage(self.name), speaking(lang):
            yield

    def __repr__(self) -> str:
        return f"<Run {self.name}>"

    def _repr_html_(self) -> str:
        from harness.reporting.glance import glance_html

        with self._reading():
            return glance_html(self.kept)


def _recommended(rows: Sequence[Row], case: Any) -> Recommended:
    from harness.selection.recommend import recommend
    from harness.selection.words import paragraph

    found = recommend(rows, case)
    variant = found.chosen.variant if found.chosen else None
    return Recommended(case.title, variant, tuple(row.variant for row in found.tied), paragraph(found, rows), found)


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror or error}") from error
