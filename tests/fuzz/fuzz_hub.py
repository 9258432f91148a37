"""The answers of a hub: a server on loopback that says what is damaged, and the code that downloads from and uploads to
it."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from fuzz_models import safetensors_file, tokenizer_file
from fuzz_mutations import as_json, damaged, damaged_value
from fuzz_property import Kind

from harness.candidates.checkpoint import open_checkpoint
from harness.candidates.hub import cached, checkpoint_folder
from harness.candidates.push import push

REPOSITORY = "somebody/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_FILES = {
    "config.json": b'{"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2}',
    "tokenizer.json": tokenizer_file,
    "model.safetensors": safetensors_file,
}
_NAMES = ("../escaped.json", "../../../../escaped.json", "/tmp/escaped.json", "a/../../b.json", "..\\c.json", "", ".",
          "x" * 300 + ".json", "\0.json", "refs/main.json", "config.json/x.json")  # fmt: skip
_HEADERS: dict[str, tuple[str, ...]] = {
    "ETag": (
        "",
        '"../../../escaped"',
        '"../../../../../escaped"',
        '"/tmp/escaped"',
        "W/",
        '"' + "f" * 300 + '"',
        '"."',
    ),
    "X-Repo-Commit": ("", "../../escaped", "/tmp/escaped", "x" * 300, "main"),
    "Content-Length": ("0", "1", "-1", "99999999999", "x", "9223372036854775808"),
    "X-Linked-Size": ("0", "-1", "1e9", "99999999999999", "x"),
    "X-Linked-Etag": ('"../../../escaped"', '"/tmp/escaped"', ""),
    "Location": ("/", "//", "http://127.0.0.1:9/x", "file:///etc/passwd", "/somebody/tiny/resolve/main/config.json"),
    "Content-Type": ("text/html", "x"),
    "Content-Encoding": ("gzip", "br", "x"),
    "Content-Range": ("bytes 5-1/0", "x"),
    "Link": ('</api>; rel="next"', '<x>; rel="next"'),
    "Retry-After": ("99999", "x"),
    "RateLimit": ("x",),
}
_STATUSES = (200, 200, 200, 204, 206, 301, 302, 307, 400, 401, 403, 404, 416, 429, 500, 503)


def _answers(rng: Random) -> dict[str, Any]:
    """What the hub says, by request: ``info``, each file, and the steps of an upload; some of it damaged."""
    info = {"id": REPOSITORY, "sha": COMMIT, "siblings": [{"rfilename": name} for name in _FILES], "private": False,
            "tags": [], "downloads": 1, "lastModified": "2026-01-01T00:00:00.000Z"}  # fmt: skip
    said: dict[str, Any] = {"info": _answer(json.dumps(info).encode())}
    for name, stored in _FILES.items():
        content = stored if isinstance(stored, bytes) else stored()
        etag = hashlib.sha256(content).hexdigest()
        said[name] = _answer(content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
    upload = {"create": {"url": f"http://127.0.0.1/{REPOSITORY}"},
              "preupload": {"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in _FILES]},
              "commit": {"commitUrl": f"http://127.0.0.1/{REPOSITORY}/commit/1", "commitOid": "1"}}  # fmt: skip
    said |= {step: _answer(json.dumps(body).encode()) for step, body in upload.items()}
    for _ in range(rng.randint(1, 3)):
        request = rng.choice(list(said))
        answer = said[request]
        body = base64.b64decode(answer["body"])
        match rng.randrange(6):
            case 0:
                answer["status"] = rng.choice(_STATUSES)
            case 1 | 2:
                header = rng.choice(list(_HEADERS))
                answer["headers"][header] = rng.choice(_HEADERS[header])
            case 3 if request == "info":
                changed = {**info, "siblings": [*info["siblings"], {"rfilename": rng.choice(_NAMES)}]}  # type: ignore[misc]
                body = json.dumps(changed).encode()
            case 4 if request not in _FILES:
                with contextlib.suppress(ValueError):  # its bytes are damaged already
                    body = as_json(damaged_value(rng, json.loads(body))).encode()
            case 5 if request == "info":
                sha = rng.choice(("../../escaped", "/tmp/escaped", "", "x" * 300, "main", None))
                body = json.dumps({**info, "sha": sha}).encode()
            case _:
                body = damaged(rng, body)
        answer["body"] = base64.b64encode(body).decode()
    return {"upload": rng.random() < 0.25, "said": said}


def _answer(body: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
    return {"status": 200, "headers": headers or {}, "body": base64.b64encode(body).decode()}


def _write(rng: Random, folder: Path) -> None:
    (folder / "answers.json").write_text(json.dumps(_answers(rng)), encoding="utf-8")


def _read(given: Path, taken: Path) -> None:
    asked = json.loads((given / "answers.json").read_text(encoding="utf-8"))
    with _pointed_at(_hub(), asked["said"], taken / "hub"):
        if asked["upload"]:
            (taken / "checkpoint").mkdir()
            for name, stored in _FILES.items():
                (taken / "checkpoint" / name).write_bytes(stored if isinstance(stored, bytes) else stored())
            push(taken / "checkpoint", REPOSITORY, private=True)
            return
        folder = checkpoint_folder(REPOSITORY, offline=False)
        cached(REPOSITORY)
        open_checkpoint(folder, "causal")


class _Hub(ThreadingHTTPServer):
    """Says what it is told to."""

    daemon_threads = True
    said: dict[str, Any]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is none of ours."""


class _Requests(BaseHTTPRequestHandler):
    server: _Hub

    def log_message(self, *_: object) -> None:
        return

    def do_HEAD(self) -> None:
        self._say(self.path.rpartition("/")[2], with_body=False)

    def do_GET(self) -> None:
        self._say(self.path.rpartition("/")[2] if "/resolve/" in self.path else "info")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self._say(next((step for step in ("create", "preupload", "commit") if step in self.path), "info"))

    do_PUT = do_POST

    def _say(self, request: str, with_body: bool = True) -> None:
        answer = self.server.said.get(request, {"status": 404, "headers": {}, "body": ""})
        body = base64.b64decode(answer["body"])
        self.send_response(answer["status"])
        for name, value in {"Content-Length": str(len(body)), **answer["headers"]}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


@functools.cache
def _hub() -> _Hub:
    server = _Hub(("127.0.0.1", 0), _Requests)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@contextlib.contextmanager
def _pointed_at(hub: _Hub, said: dict[str, Any], cache: Path) -> Any:
    """The hub's library talks to this server, waits for nothing between its trials, and keeps its cache here."""
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import _http, disable_progress_bars

    disable_progress_bars()
    hub.said = said
    address = f"http://127.0.0.1:{hub.server_port}"
    changed = {
        "ENDPOINT": address,
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
        "HF_HUB_ETAG_TIMEOUT": 1,
        "HF_HUB_DOWNLOAD_TIMEOUT": 1,
    }
    with contextlib.ExitStack() as stack:
        for name, value in changed.items():
            stack.enter_context(mock.patch.object(constants, name, value))
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        stack.enter_context(mock.patch.object(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template))
        stack.enter_context(mock.patch.object(_http.time, "sleep"))
        stack.enter_context(mock.patch.dict(os.environ, {"HF_TOKEN": "hf_none"}))
        yield


KINDS = (Kind("hub", _write, _read),)
