"""The command itself: ready, answers, ends by signals, refuses what it cannot use."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from served_table import NEW, as_json

from popnet.cli import serving

CUT_SHORT = (
    b"POST /predict HTTP/1.1\r\nHost: a\r\n"
    b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
)
"""A request whose body does not come."""


def start(folder: Path, *words: str) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-m", "popnet", "serve", str(folder), "--port", "0", *words]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"}
    )
    line = process.stderr.readline()
    found = re.search(r"ready on (http://\S+)", line)
    assert found, line + process.stderr.read()
    return process, found[1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_answers_and_ends_by_signals(folders, models, number, status):
    process, address = start(folders["bought"])
    try:
        assert httpx.get(f"{address}/health").json()["status"] == "ok"
        answer = httpx.post(f"{address}/predict", json={"rows": as_json(NEW)})
        assert answer.json()["predictions"] == models["bought"].predict_frame(NEW).to_dicts()
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as broken:  # a body that never comes
            broken.sendall(CUT_SHORT)
        with socket.create_connection((host, int(port))) as junk:
            junk.sendall(b"\x16\x03\x01\r\n\r\n")
            assert b"400" in junk.recv(1000)
        assert httpx.get(f"{address}/health").json()["status"] == "ok"
    finally:
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert "Traceback" not in said


def test_a_slow_body_is_refused(folders):
    process, address = start(folders["bought"], "--timeout", "0.3s", "--max-bytes", "2KB")
    try:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(CUT_SHORT)
            assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        answer = httpx.post(f"{address}/predict", json={"rows": as_json(NEW)})
        assert answer.status_code == 413
        assert "2,000 bytes" in answer.json()["error"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_what_cannot_be_used_is_said_in_a_sentence(run, folders, tmp_path):
    folder = folders["bought"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, said = run("serve", folder, "--port", port, fails=2)
        assert f"127.0.0.1:{port} cannot be used" in said
    for words, part in (
        ((folder, "--port", 70000), "--port"),
        ((folder, "--max-rows", 0), "--max-rows"),
        ((folder, "--timeout", "soon"), "soon"),
        ((folder, "--timeout", "0s"), "--timeout"),
        ((folder, "--max-bytes", "much"), "much"),
        ((folder, "--host", "no such host"), "cannot be used"),
        ((tmp_path / "none", "--port", 0), "no folder"),
    ):
        _, said = run("serve", *words, fails=2)
        assert part in said
        assert said.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(run, folders, monkeypatch):
    find = serving.importlib.util.find_spec
    monkeypatch.setattr(
        serving.importlib.util, "find_spec", lambda n: None if n == "uvicorn" else find(n)
    )
    _, said = run("serve", folders["bought"], fails=2)
    assert "pip install 'popnet[serve]'" in said
    assert "uvicorn" in said
