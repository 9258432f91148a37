"""What is kept of texts from outside: no tokens, no names of users and machines, nothing that a terminal obeys."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.privacy import all_without_private, without_private

HOME = "/home/alice"


@pytest.fixture(autouse=True)
def somebody(monkeypatch):
    for name, value in {"HOME": HOME, "USER": "alice", "LOGNAME": "alice", "HOSTNAME": "bigbox.example.org"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(socket, "gethostname", lambda: "bigbox.example.org")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no file /home/alice/models/a", "no file ~/models/a"),
        ("no file /home/bob/models/a", "no file /home/<user>/models/a"),
        ("no file /Users/bob/a", "no file /Users/<user>/a"),
        (r"no file C:\Users\Bob\a", r"no file C:\Users\<user>\a"),
        ("no file /data/alice/a", "no file /data/<user>/a"),
        ("no file '/tmp/torchinductor_alice/x'", "no file '/tmp/torchinductor_<user>/x'"),
        ("file:///data/alice/a", "file:///data/<user>/a"),
        ("text:/data/alice/a", "text:/data/<user>/a"),
        ("no file /data/malice/alicebob", "no file /data/malice/alicebob"),
        ("alice/gpt2 on https://huggingface.co/alice/gpt2", "alice/gpt2 on https://huggingface.co/alice/gpt2"),
        ("bigbox: no route to BigBox.example.org:80", "<host>: no route to <host>:80"),
        ("bigboxes", "bigboxes"),
        ("token hf_abcdefghijKLMN12 is bad", "token <secret> is bad"),
        ("ghp_0123456789abcdefghij", "<secret>"),
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer <secret>"),
        ("https://me:word@index.example/simple", "https://<secret>@index.example/simple"),
        ("GET https://cdn.example/a?X-Amz-Signature=0f0f&b=1 failed", "GET https://cdn.example/a?… failed"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07 a\x00b\tc\nd", "red  ab\tc\nd"),
        ("hf_transfer is not installed", "hf_transfer is not installed"),
    ],
)
def test_a_text_is_kept_without_what_is_private(text, kept):
    assert without_private(text) == kept


@pytest.mark.parametrize("name", ["MY_TOKEN", "WANDB_API_KEY", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "service_pat"])
def test_the_value_of_a_variable_that_is_named_like_a_secret_is_not_kept(monkeypatch, name):
    monkeypatch.setenv(name, "correct horse")
    assert without_private("the server said: correct horse!") == "the server said: <secret>!"


@pytest.mark.parametrize(
    ("name", "value"), [("TOKENIZERS_PARALLELISM", "forking"), ("MONKEY", "forking"), ("MY_KEY", "fork")]
)
def test_other_variables_and_short_values_take_no_words_away(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert without_private("a fork while forking") == "a fork while forking"


def test_accounts_that_name_nobody_stay(monkeypatch):
    monkeypatch.setenv("USER", "root")
    assert without_private("/usr/lib/root/a") == "/usr/lib/root/a"


def test_every_text_of_a_table_is_looked_at():
    table = {"command": f"run {HOME}/a", "list": ["hf_abcdefghijKLMN12", 1, None], "inner": {"deep": ({"a": HOME},)}}
    kept = all_without_private(table)
    assert kept == {"command": "run ~/a", "list": ["<secret>", 1, None], "inner": {"deep": [{"a": "~"}]}}


@given(st.text(), st.text())
def test_a_secret_is_gone_wherever_it_stands(before, after):
    assert "hf_abcdefghijKLMN12" not in without_private(f"{before} hf_abcdefghijKLMN12 {after}")
    assert HOME not in without_private(f"{before} {HOME}/x {after}")


@given(st.text())
def test_what_is_kept_is_kept_the_second_time(text):
    once = without_private(text)
    assert without_private(once) == once
    json.dumps(once)
