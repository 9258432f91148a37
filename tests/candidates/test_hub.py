from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from harness.candidates import hub
from harness.errors import UnavailableError


@pytest.fixture(params=[200, 404])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server on this machine that answers every HEAD with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_a_hub_that_answers_anything_is_there(server: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", server)
    assert hub.answers()


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "https://nowhere.invalid", "no address"])
def test_a_hub_that_does_not_answer_is_not(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert not hub.answers()


def test_asking_whether_the_hub_answers_imports_none_of_its_libraries():
    code = (
        "import sys, harness.candidates.hub as hub; hub.answers(); "
        "sys.exit(any(name in sys.modules for name in ('huggingface_hub', 'datasets', 'transformers')))"
    )
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with the folder of one repository, ``some/model``, that holds no files yet."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    folder = repository / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("files", [[], ["config.json"], ["model.safetensors"], ["config.json", "pytorch_model.bin"]])
def test_a_download_that_was_cut_short_is_not_in_the_cache(cache: Path, files: list[str]):
    for name in files:
        (cache / name).touch()
    assert hub.cached("some/model") is None


def test_a_whole_checkpoint_is_taken_from_the_cache(cache: Path):
    for name in ("config.json", "model.safetensors"):
        (cache / name).touch()
    assert hub.cached("some/model") == hub.checkpoint_folder("some/model", offline=True) == cache
    assert hub.cached("some/model@another-revision") is None


def test_what_the_cache_does_not_hold_is_unavailable_offline_and_a_folder_is_the_remedy(cache: Path):
    with pytest.raises(UnavailableError) as error:
        hub.checkpoint_folder("some/other-model", offline=True)
    assert str(error.value) == (
        "some/other-model is not in the hub's cache (offline); "
        "a local folder can stand in for it: --local NAME=FOLDER, or 'path' in a suite"
    )
