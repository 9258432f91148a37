"""Uploads to a small hub on loopback that speaks the protocol of the real one: preupload, git LFS, and one commit."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.candidates.artefacts import MANIFEST
from harness.candidates.push import check_push, push
from harness.errors import HarnessError

REPOSITORY = "somebody/tiny"


class Hub(ThreadingHTTPServer):
    """What was uploaded to it; with ``breaks`` it cuts the connection when weights are sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.repositories: dict[str, dict[str, object]] = {}
        self.objects: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.breaks = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        return

    def do_POST(self) -> None:
        body = self._body()
        self.server.tokens.add(self.headers.get("authorization", ""))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            self.server.repositories[f"{asked['organization']}/{asked['name']}"] = asked
            self._say({"url": f"{self.server.address}/{REPOSITORY}"})
        elif self.path == "/api/validate-yaml":
            self._say({"errors": [], "warnings": []})
        elif self.path.startswith(f"/api/models/{REPOSITORY}/preupload/"):
            files = [each["path"] for each in json.loads(body)["files"]]
            modes = {name: "lfs" if name.endswith(".safetensors") else "regular" for name in files}
            self._say({"files": [{"path": n, "uploadMode": m, "shouldIgnore": False} for n, m in modes.items()]})
        elif self.path == f"/{REPOSITORY}.git/info/lfs/objects/batch":
            asked = json.loads(body)["objects"]
            actions = [
                {**each, "actions": {"upload": {"href": f"{self.server.address}/object/{each['oid']}"}}}
                for each in asked
            ]
            self._say({"transfer": "basic", "objects": actions})
        elif self.path.startswith(f"/api/models/{REPOSITORY}/commit/"):
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    self.server.files[value["path"]] = self.server.objects[value["oid"]]
            self._say({"commitUrl": f"{self.server.address}/{REPOSITORY}/commit/1", "commitOid": "1"})
        else:
            self.send_error(404)

    def do_PUT(self) -> None:
        if self.server.breaks:
            self.connection.close()
            return
        self.server.objects[self.path.rpartition("/")[2]] = self._body()
        self._say({})

    def do_GET(self) -> None:
        self._say({"id": REPOSITORY, "sha": "0", "siblings": []})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _say(self, answer: object) -> None:
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def hub(monkeypatch) -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tiny_checkpoints, tmp_path):
    for file in tiny_checkpoints["causal"].path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / MANIFEST).write_text("{}")
    return tmp_path


def test_the_whole_checkpoint_arrives_with_its_card_and_without_the_manifest(hub, folder):
    address = push(folder, REPOSITORY, private=True)
    assert address == f"{hub.address}/{REPOSITORY}"
    sent = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != MANIFEST}
    assert hub.files == sent
    assert {"model.safetensors", "README.md", "config.json", "tokenizer.json"} <= set(sent)
    assert hub.repositories[REPOSITORY]["private"] is True
    assert hub.tokens == {"Bearer hf_secret"}


def test_an_upload_that_breaks_off_can_be_made_again(hub, folder, monkeypatch):
    hub.breaks = True
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with pytest.raises(HarnessError, match=r"the upload to somebody/tiny did not end: .*; nothing is lost"):
        push(folder, REPOSITORY, private=False)
    assert hub.files == {}
    assert (folder / "model.safetensors").exists()
    hub.breaks = False
    push(folder, REPOSITORY, private=False)
    assert "model.safetensors" in hub.files


def test_without_a_token_nothing_is_begun(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(HarnessError, match="no token; set HF_TOKEN or log in"):
        check_push(REPOSITORY)


@pytest.mark.parametrize("name", ["a/b/c", "../weights", "with space", ""])
def test_a_name_that_is_none_is_refused(monkeypatch, name):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(HarnessError, match="--push-to"):
        check_push(name)


def test_offline_nothing_is_uploaded(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HarnessError, match="forbids the network"):
        check_push(REPOSITORY)
