"""Submitting, against an HTTP server that speaks the part of the Kubeflow Pipelines API that is used."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import yaml

from cli.main import main
from kinora import recipes
from kinora.errors import UsageError
from pipelines.compile import compiled_text
from pipelines.run import RunOptions, check
from pipelines.submit import Submission, submit_pipeline

ANSWERS = {
    ("GET", "/apis/v2beta1/pipelines"): {},
    ("POST", "/apis/v2beta1/pipelines/upload"): {"pipeline_id": "pipe"},
    ("POST", "/apis/v2beta1/pipelines/upload_version"): {"pipeline_id": "pipe", "pipeline_version_id": "version"},
    ("GET", "/apis/v2beta1/experiments"): {},
    ("POST", "/apis/v2beta1/experiments"): {"experiment_id": "exp", "display_name": "kinora"},
    ("POST", "/apis/v2beta1/runs"): {"run_id": "run-1"},
    ("GET", "/apis/v2beta1/healthz"): {"multi_user": False},
}
ROOT = ("--artifact-root", "s3://bucket/kinora")


class Server(BaseHTTPRequestHandler):
    """Answers as a server without pipelines or experiments would, and keeps what it was sent."""

    refuses = False

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        self.server.received.append((self.command, path, body))
        answer = ANSWERS.get((self.command, path))
        self.send_response(403 if self.server.refuses else 200 if answer is not None else 404)
        content = json.dumps(answer or {}).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *_) -> None: ...


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.received, server.refuses = [], False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.address = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


def test_uploads_the_compiled_pipeline_and_starts_a_run(server, root, capsys):
    assert main(["pipeline", "submit", "--host", server.address, *ROOT, "--recipe", "smoke", "--source", "worlds"]) == 0
    assert f"{server.address}/#/runs/details/run-1" in capsys.readouterr().out
    sent = {(method, path): body for method, path, body in server.received}
    assert (
        compiled_text("world_simulator", recipes.get("smoke").compute.processes).encode()
        in sent["POST", "/apis/v2beta1/pipelines/upload_version"]
    )
    run = json.loads(sent["POST", "/apis/v2beta1/runs"])
    assert run["pipeline_version_reference"] == {"pipeline_id": "pipe", "pipeline_version_id": "version"}
    given = run["runtime_config"]["parameters"]
    assert (given["recipe"], given["source"], len(given["fingerprint"])) == ("smoke", "worlds", 64)
    assert given["artifact_root"] == "s3://bucket/kinora"
    compiled = next(yaml.safe_load_all((root / "pipelines/compiled/world_simulator.yaml").read_text()))
    assert set(given) <= set(compiled["root"]["inputDefinitions"]["parameters"])


def test_a_server_that_refuses_is_one_sentence(server, capsys):
    server.refuses = True
    assert main(["pipeline", "submit", "--host", server.address, *ROOT]) == 1
    said = capsys.readouterr().err.strip()
    assert "did not start the run (403 Forbidden)" in said
    assert "\n" not in said


def test_a_server_that_is_not_there_is_one_sentence(capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{unused.getsockname()[1]}"
    assert main(["pipeline", "submit", "--host", host, *ROOT]) == 1
    said = capsys.readouterr().err.strip()
    assert "did not start the run" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--recipe", "huge"], "there is no recipe 'huge'"),
        (["--source", "/home/me/clips"], "the cluster cannot see the source"),
        (["--artifact-root", ""], "everything that the run makes would be lost"),
        (["--artifact-root", "/data"], "the cluster cannot see the artifact root"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused_before_anything_is_sent(server, capsys, arguments, sentence):
    assert main(["pipeline", "submit", "--host", server.address, *ROOT, *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not server.received


def test_training_steps_ask_for_the_gpus_of_the_recipe():
    compiled = next(yaml.safe_load_all(compiled_text("world_simulator", gpus=8)))
    asked = {
        name: executor["container"].get("resources", {}).get("accelerator", {}).get("resourceCount")
        for name, executor in compiled["deploymentSpec"]["executors"].items()
    }
    assert asked["exec-pretrain"] == asked["exec-train-autoencoder"] == "8"
    assert asked["exec-evaluate"] == "1"
    assert asked["exec-ingest"] is None
    study = next(yaml.safe_load_all(compiled_text("scaling_study", gpus=8)))
    resources = study["deploymentSpec"]["executors"]["exec-pretrain"]["container"]["resources"]
    assert resources["accelerator"]["resourceCount"] == "1"  # its trainings run side by side


def test_several_nodes_are_refused():
    submission = Submission(
        "world_simulator", "http://localhost:1", "worlds", "tiny", "compute.nodes=2", "s3://bucket/x", "", "kinora"
    )
    with pytest.raises(UsageError, match=r"compute\.nodes is 2, and a step of a pipeline runs on one machine"):
        submit_pipeline(submission)
    with pytest.raises(UsageError, match=r"compute\.nodes is 2"):
        check(RunOptions(settings="compute.nodes=2"))
