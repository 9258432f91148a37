"""The same as the command line, for scripts and notebooks: run a suite, open a run, and what can be made of it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import HarnessError, nearest
from harness.execution.steps import Step, Steps, print_steps
from harness.records.baselines import SUFFIX, Baseline, open_baseline
from harness.records.record import Record
from harness.records.rows import Row, make_rows
from harness.records.run_folder import REPORT_FILE, RunFolder, find_run, write_whole
from harness.selection.claims import Judged
from harness.selection.recommend import Recommendation

if TYPE_CHECKING:
    import pandas

    from harness.execution.estimate import Estimate

__all__ = ["Figure", "HarnessError", "Judged", "Recommendation", "Recommended", "Record", "Row", "Run", "Step",
           "open_run", "run_suite"]  # fmt: skip

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
        return make_rows(self.kept.records())

    def frame(self) -> pandas.DataFrame:
        """Records as a pandas frame, a line a fact, in the unit of its metric."""
        from harness.records.frame import frame

        return frame(self.records())

    def table(self) -> pandas.DataFrame:
        """Rows by metrics as a pandas frame, in the unit of each metric (``harness list metrics``), NaN where there is
        no value. Where a metric has 95 % intervals, ``METRIC_low`` and ``METRIC_high`` stand beside it."""
        from harness.records.row_frame import row_frame

        return row_frame(self.rows())

    def recommendations(self, lang: Language = "en") -> dict[str, Recommended]:
        """What to use, by the title of each use case of the suite."""
        from harness.selection.use_cases import use_cases_of

        rows = self.rows()
        cases = use_cases_of(self.info.get("suite", {}))
        with _speaking(lang):
            return {case.title: _recommended(rows, case) for case in cases}

    def recommendation(self, title: str, lang: Language = "en") -> Recommended:
        """What to use for one use case. Raises HarnessError for a title that the suite does not have."""
        from harness.selection.use_cases import use_cases_of

        cases = {case.title: case for case in use_cases_of(self.info.get("suite", {}))}
        if title not in cases:
            raise HarnessError(f"run '{self.name}' has no use case '{title}'{nearest(title, cases)}")
        with _speaking(lang):
            return _recommended(self.rows(), cases[title])

    def claims(self, path: str | Path | None = None) -> list[Judged]:
        """The shipped claims about models, or those of a file, held against the run."""
        from harness.selection.claims import judge
        from harness.selection.claims_file import read_claims, shipped_claims

        return judge(read_claims(Path(path).expanduser()) if path else shipped_claims(), self.rows())

    def figures(self, lang: Language = "en") -> list[Figure]:
        """The plots of the report, of what was measured."""
        from harness.reporting.plots.gallery import plots

        records = self.kept.records()
        with _speaking(lang):
            drawn = plots(records, make_rows(records))
        return [Figure(plot.name, plot.title, plot.alt, plot.svg) for plot in drawn]

    def report(self, lang: Language = "en") -> str:
        """The report as Markdown, without plots."""
        from harness.reporting.markdown import report

        with _speaking(lang):
            return report(self.kept, self.claims())

    def html(self, lang: Language = "en") -> str:
        """The report with its plots as one HTML file."""
        from harness.reporting.page.render import report_html

        with _speaking(lang):
            return report_html(self.kept, self.claims())

    def model_card(self, candidate: str | None = None, lang: Language = "en") -> str:
        """The hub's model card of a candidate, which may be left out where the run has one."""
        from harness.reporting.model_card import model_card

        with _speaking(lang):
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
            with _speaking(lang):
                write_report(self.kept, file, self.claims())

    def __repr__(self) -> str:
        return f"<Run {self.name}>"

    def _repr_html_(self) -> str:
        from harness.reporting.glance import glance_html

        return glance_html(self.kept)


def open_run(path_or_name: str | Path = "latest", runs_dir: str | Path = "runs") -> Run:
    """Open a run by its folder, by its name in ``runs_dir`` or as ``latest``; or a baseline by its ``.json`` file.

    Raises HarnessError where there is none, or where it is damaged.
    """
    path = Path(path_or_name).expanduser()
    if path.suffix == SUFFIX:
        return Run(path, open_baseline(path))
    wanted = str(path) if path.is_dir() else str(path_or_name)
    found = find_run(wanted, Path(runs_dir).expanduser())
    return Run(found.path, found)


def run_suite(
    suite: str | Path,
    *,
    only: str | Sequence[str] = (),
    skip: str | Sequence[str] = (),
    rounds: int | None = None,
    threads: int | None = None,
    corpus: str | None = None,
    offline: bool = False,
    fresh: bool = False,
    runs_dir: str | Path = "runs",
    cache_dir: str | Path | None = None,
    settings: str | Sequence[str] = (),
    local: str | Sequence[str] = (),
    progress: bool | Callable[[Step], None] = True,
) -> Run:
    """Measure everything that a suite asks for, as ``harness run`` does, and return the run. Called again, it resumes.

    ``suite`` is a shipped name or the path of a ``.toml`` file; the other arguments are the options of ``harness run``.
    ``progress`` tells on stderr how it goes, a line a task, or hands each step to a function. Tasks that fail raise
    nothing: their rows have the status and the reason. Raises HarnessError for bad input. KeyboardInterrupt leaves what
    is finished and a report in the folder, and passes on.
    """
    from harness.cli.options import cache_folder
    from harness.execution.guest import guest
    from harness.execution.job import Request, begin

    if cache_dir is None and (kept := os.environ.get("HARNESS_CACHE")):
        cache_dir = kept
    options = {"--only": _several(only), "--skip": _several(skip), "--set": _several(settings),
               "--local": _several(local)}  # fmt: skip
    chosen = {"corpus": corpus, "rounds": rounds, "threads": threads}
    words = [f"{key}={json.dumps(value)}" for key, value in chosen.items() if value is not None]
    request = Request(
        suite=str(suite),
        settings=(*options["--set"], *words),
        only=options["--only"],
        skip=options["--skip"],
        offline=offline,
        fresh=fresh,
        runs_dir=Path(runs_dir).expanduser(),
        cache_dir=cache_folder(Path(cache_dir) if cache_dir is not None else None),
        command=_command(suite, options, chosen, offline),
        local=options["--local"],
    )
    with guest():
        job = begin(request)
        run = Run(job.folder.path, job.folder)
        try:
            job.run(_listener(progress, job.estimate))
        finally:
            run.write_report(run.path / REPORT_FILE)
    return run


def _listener(progress: bool | Callable[[Step], None], estimate: Estimate) -> Steps:
    if progress is True:
        return print_steps(estimate)
    tell = progress if callable(progress) else lambda step: None
    return Steps(estimate, tell, lambda words: None)


@contextmanager
def _speaking(lang: str) -> Iterator[None]:
    from harness.language.say import LANGUAGES, speaking

    if lang not in LANGUAGES:
        raise HarnessError(f"lang: expected {' or '.join(LANGUAGES)}, not '{lang}'")
    with speaking(lang):
        yield


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


def _several(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _command(suite: str | Path, options: dict[str, tuple[str, ...]], chosen: dict[str, Any], offline: bool) -> str:
    """What does the same on the command line, for the report; the user's home is not spelled out."""
    from harness.records.privacy import without_private

    words = ["--suite", str(suite)]
    for option, values in options.items():
        words += [word for value in values for word in (option, value)]
    for key, value in chosen.items():
        words += [f"--{key}", str(value)] if value is not None else []
    words += ["--offline"] if offline else []
    hidden = [without_private(word) for word in words]
    quoted = ["~/" + shlex.quote(word[2:]) if word.startswith("~/") else shlex.quote(word) for word in hidden]
    return " ".join(["python", "-m", "harness", "run", *quoted])
