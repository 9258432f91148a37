"""Suite files written by the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.suites.loader import load_suite
from harness.suites.schema import Suite

BASE = 'candidates = ["gpt2-mini"]\nvariants = ["torch/fp32"]\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write ``mine.toml``: the smallest suite that is good, with ``more`` behind it, or ``whole`` in its place."""

    def written(more: str = "", whole: str | None = None) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(BASE + more if whole is None else whole, encoding="utf-8")
        return path

    return written


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., Suite]:
    """Load such a suite, with settings as ``--set`` gives them."""

    def loaded(more: str = "", *settings: str, whole: str | None = None) -> Suite:
        return load_suite(str(write(more, whole)), settings).suite

    return loaded


@pytest.fixture
def refusal(write: Callable[..., Path]) -> Callable[..., str]:
    """The error of such a suite, without the path of the file that it must begin with."""

    def refused(more: str = "", *settings: str, whole: str | None = None) -> str:
        path = write(more, whole)
        with pytest.raises(HarnessError) as error:
            load_suite(str(path), settings)
        text = str(error.value)
        assert text.startswith(f"{path}: ")
        assert "\n" not in text
        return text.removeprefix(f"{path}: ")

    return refused
