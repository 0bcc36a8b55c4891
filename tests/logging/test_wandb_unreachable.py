"""W&B that stops answering or dies in the middle of a run: the run goes on, and nothing is lost."""

import json
import os
import signal
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import wandb

from nas_lightning.logging import RunFacts, open_logger
from tests.helpers.offline import read_offline_run

pytestmark = pytest.mark.slow

BUCKET = {
    "id": "b", "name": "r", "displayName": "r", "config": "{}", "summaryMetrics": "{}", "historyLineCount": 0,
    "eventsLineCount": 0, "logLineCount": 0, "tags": [],
    "project": {"id": "p", "name": "nas-lightning", "entity": {"id": "e", "name": "me"}},
}  # fmt: skip


class Silent(BaseHTTPRequestHandler):
    """As much of W&B's server as starts a run; once `is_silent` is set, requests are accepted and never answered."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.is_silent.is_set():
            self.server.ended.wait()
            self.close_connection = True
            return
        data = {"viewer": {"id": "v", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}}
        if b"UpsertBucket" in body:
            name = json.loads(body)["variables"]["name"]
            data = {"upsertBucket": {"bucket": {**BUCKET, "name": name, "displayName": name}, "inserted": True}}
            self.server.is_silent.set()  # the run has begun
        answer = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads, server.block_on_close = True, False
    server.is_silent, server.ended = threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def online(monkeypatch, server):
    """W&B as a run meets it on a machine with a key, with that server, and a short patience at the end."""
    wandb.teardown()
    for name, value in {
        "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}",
        "WANDB_API_KEY": "0" * 40,
        "WANDB_MODE": "online",
        "WANDB_FINISH_TIMEOUT": "4",
    }.items():
        monkeypatch.setenv(name, value)
    yield server
    with suppress(OSError):  # its process may be dead
        wandb.teardown()


def kill_service():
    """SIGKILL to W&B's own process beside ours."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    services = [int(c) for c in children if b"wandb" in Path(f"/proc/{c}/cmdline").read_bytes()]
    for child in services:
        os.kill(child, signal.SIGKILL)
    return len(services)


def train_a_while(folder, in_the_middle=lambda: None):
    """What a run does with its logger, Lightning's part included."""
    facts = RunFacts(folder, "h", "train", "nasbench201", "digits", 0)
    with open_logger("wandb", facts) as logger:
        for step in range(10):
            logger.lightning.log_metrics({"x": float(step)}, step)
            if step == 5:
                in_the_middle()
        logger.log({"y": 2.0}, step=10)
        logger.finish({"metrics": {"accuracy": {"kendall_tau": 0.5}}})


def test_a_server_that_stops_answering_costs_neither_run_nor_numbers(tmp_path, online, caplog):
    train_a_while(tmp_path / "run")
    assert online.is_silent.is_set()
    (folder,) = (tmp_path / "run" / "wandb").glob("run-*")
    assert f"wandb sync {folder}" in caplog.text
    wandb.teardown()  # as the end of the process does
    kept = read_offline_run(folder)
    assert [row["x"] for row in kept.history if "x" in row] == list(range(10))
    assert [row["y"] for row in kept.history if "y" in row] == [2.0]


def test_the_death_of_its_service_process_does_not_end_the_run(tmp_path, online, caplog):
    killed = []
    train_a_while(tmp_path / "run", lambda: killed.append(kill_service()))
    assert killed == [1]
    assert caplog.text.count("W&B has failed") == 1
