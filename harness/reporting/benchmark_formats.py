"""A run in the formats of other benchmark tools: pytest-benchmark's JSON and github-action-benchmark's.

Both show and compare what they are given; neither knows noise. Verdicts are those of ``harness compare`` and
``harness ab``.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from harness.errors import HarnessError
from harness.records.metrics import METRICS, Metric
from harness.records.rows import Row
from harness.records.run_folder import RunFolder
from harness.records.values import Value

PYTEST_BENCHMARK = "5.3.1"
"""The version of pytest-benchmark that this format was taken from; files of 3.1 and later look the same."""
_RATE, _TIME = "tokens/s", "s"
_OF_THE_MACHINE = ("control_seconds",)
"""Timings of a fixed workload: they say how the machine was, not how fast a variant is."""


def pytest_benchmark_json(run: RunFolder, rows: Sequence[Row]) -> str:
    """The timings of a run as a file of pytest-benchmark: one benchmark for each variant and timed metric, in seconds.

    Tokens/s become seconds per token, and the name says so. ``data`` holds one reading a timing round, of which
    pytest-benchmark's statistics are made; ``extra_info`` holds the metric as measured. Variants that are not whole
    are left out (see :func:`left_out`). Raises HarnessError where nothing is left.
    """
    suite = str(run.info.get("suite_name", "run"))
    benchmarks = [
        _benchmark(suite, row, METRICS[name], value, seconds)
        for row in rows
        if row.status == "ok"
        for name, value in row.metrics.items()
        if (seconds := _seconds(METRICS[name], value))
    ]
    if not benchmarks:
        raise HarnessError(f"run {run.name} has no timing of a whole variant, so there is no benchmark to write")
    environment = run.info.get("environment", {})
    body = {
        "machine_info": _machine(environment),
        "commit_info": _commit(environment),
        "benchmarks": benchmarks,
        "datetime": run.info.get("created"),
        "version": PYTEST_BENCHMARK,
    }
    return _as_json(body)


def github_benchmark_json(run: RunFolder, rows: Sequence[Row], bigger_is_better: bool) -> str:
    """The metrics of one direction as a list of {name, unit, value, range, extra}, which github-action-benchmark takes
    as ``customBiggerIsBetter`` or ``customSmallerIsBetter``.

    Names, ``VARIANT METRIC``, stay the same from run to run, since the action finds the value before by them.
    ``range`` is the 95 % interval, absent where there is none. Metrics without a better direction and those of the
    machine are left out, and so are variants that are not whole (see :func:`left_out`). Raises HarnessError where
    nothing is left.
    """
    entries = [
        _entry(row, METRICS[name], value)
        for row in rows
        if row.status == "ok"
        for name, value in row.metrics.items()
        if METRICS[name].higher_is_better is bigger_is_better and name not in _OF_THE_MACHINE
    ]
    if not entries:
        better = "bigger" if bigger_is_better else "smaller"
        raise HarnessError(f"run {run.name} has no metric of a whole variant of which {better} is better")
    return _as_json(entries)


def left_out(rows: Sequence[Row]) -> list[str]:
    """A line for each variant that failed, was skipped or is not measured yet, with its reason."""
    return [f"left out {r.variant}: {r.status}: {' '.join(r.reason.split())}" for r in rows if r.status != "ok"]


def seconds_statistics(seconds: Sequence[float]) -> dict[str, Any]:
    """pytest-benchmark's statistics of readings in seconds, one at least, by its own rules.

    The standard deviation is the sample's, 0 for one reading. Quartiles of an even number of readings are the medians
    of its halves; of an odd number, 4 n + 1 or 4 n + 3, they lie a quarter of the way between neighbours. Outliers
    are beyond one standard deviation of the mean, or beyond 1.5 IQR of the quartiles (Tukey); ``ld15iqr`` and
    ``hd15iqr`` are the ends of what is not the latter.
    """
    ordered = sorted(seconds)
    mean, total = statistics.mean(ordered), sum(ordered)
    deviation = statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    lower, upper = _lower_quartile(ordered), _lower_quartile(ordered[::-1])
    reach = 1.5 * (upper - lower)
    within = [each for each in ordered if lower - reach <= each <= upper + reach]
    far = sum(not mean - deviation <= each <= mean + deviation for each in ordered)
    beyond = len(ordered) - len(within)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(ordered),
        "median": statistics.median(ordered),
        "iqr": upper - lower,
        "q1": lower,
        "q3": upper,
        "iqr_outliers": beyond,
        "stddev_outliers": far,
        "outliers": f"{far};{beyond}",
        "ld15iqr": within[0],
        "hd15iqr": within[-1],
        "ops": len(ordered) / total if total else 0.0,
        "total": total,
        "data": list(seconds),
        "iterations": 1,
    }


def _lower_quartile(ordered: Sequence[float]) -> float:
    """The quartile next to the first of ordered values; given them in descending order, the upper one."""
    count = len(ordered)
    if count == 1:
        return ordered[0]
    if count % 2 == 0:
        return statistics.median(ordered[: count // 2])
    n, rest = divmod(count, 4)
    at, share = (n - 1, 0.25) if rest == 1 else (n, 0.75)
    return ordered[at + 1] + share * (ordered[at] - ordered[at + 1])


def _seconds(metric: Metric, value: Value) -> list[float]:
    """The readings of a timed metric in seconds, in the order of rounds; none where it is not one."""
    if metric.measure != "speed" or metric.unit not in (_RATE, _TIME) or metric.name in _OF_THE_MACHINE:
        return []
    readings = [value.rounds[number] for number in sorted(value.rounds)] or [value.estimate.value]
    if metric.unit == _TIME:
        return readings
    return [1 / each for each in readings] if all(each > 0 for each in readings) else []


def _benchmark(suite: str, row: Row, metric: Metric, value: Value, seconds: list[float]) -> dict[str, Any]:
    subject, rate = row.subject, metric.unit == _RATE
    timed = metric.name.replace("tokens_per_second", "seconds_per_token") if rate else metric.name
    name = f"{timed}[{row.variant}]"
    measured = {
        "metric": metric.name,
        "description": metric.description,
        "unit": metric.unit,
        "value": value.estimate.value,
        "low": value.estimate.low,
        "high": value.estimate.high,
        "protocol": value.protocol,
    }
    return {
        "group": timed,
        "name": name,
        "fullname": f"{suite}::{name}",
        "params": {key: getattr(subject, key) for key in ("candidate", "engine", "precision", "device")},
        "param": row.variant,
        "extra_info": measured | ({"seconds_are": "1 / (tokens/s), seconds per token"} if rate else {}),
        "options": {},
        "stats": seconds_statistics(seconds),
    }


def _entry(row: Row, metric: Metric, value: Value) -> dict[str, Any]:
    e = value.estimate
    entry = {"name": f"{row.variant} {metric.name}", "unit": metric.unit, "value": e.value}
    if e.low is not None and e.high is not None:
        entry["range"] = f"{e.low:.6g} to {e.high:.6g}"
    return entry | {"extra": f"{metric.description}\nn: {e.n}" + (f"\ninterval: {e.method}" if e.method else "")}


def _machine(environment: dict[str, Any]) -> dict[str, Any]:
    """The machine by pytest-benchmark's names for it, without the name of the host, and all that the run knows."""
    system, release, machine = [*str(environment.get("system", "")).split(), "", "", ""][:3]
    told = ("isa", "memory_bytes", "threads", "gpus", "governor", "versions")
    return {
        "processor": machine,
        "machine": machine,
        "system": system,
        "release": release,
        "python_version": environment.get("python", ""),
        "cpu": {"brand_raw": environment.get("cpu", ""), "count": environment.get("cores")},
        **{key: environment[key] for key in told if key in environment},
    }


def _commit(environment: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": environment.get("commit", "unknown"),
        "time": None,
        "author_time": None,
        "dirty": bool(environment.get("dirty")),
        "project": "harness",
        "branch": "(unknown)",
    }


def _as_json(body: Any) -> str:
    return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
