"""`kinora plan` as a person meets it."""

import json

from cli.main import main

SMALL = ["--recipe", "smoke", "--gpu", "cpu"]


def test_the_table_names_every_figure(capsys):
    assert main(["plan", *SMALL, "--gpus", "4", "--hourly-price", "0.5"]) == 0
    said = capsys.readouterr().out
    assert said.lstrip().startswith("smoke on 4 x a CPU core (1 node of 4; ZeRO 1)\n")
    for word in ("Parameters", "tokens a step", "Memory of each GPU", "activations", "MFU", "assumed: 40%", "hours"):
        assert word in said
    assert "at 0.5 a GPU and hour" in said
    assert "of the time GPUs have no pack" in said  # a step has two


def test_json_is_for_machines(capsys):
    assert main(["plan", *SMALL, "--json", "--set", "transformer.steps=50"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["tokens"] == 50 * figures["tokens_per_step"]
    assert figures["memory_bytes_total"] == sum(figures["memory_bytes"].values())
    assert figures["fits"] is True
    assert figures["cost"] is None


def test_what_will_not_fit_is_a_failure_with_advice(capsys):
    settings = "transformer.tokens_per_pack=6553600 transformer.tokens_per_step=6553600"
    assert main(["plan", *SMALL, "--set", settings]) == 1
    said = capsys.readouterr().err
    assert said.startswith("kinora plan: smoke needs ")
    assert "transformer.tokens_per_pack=" in said


def test_unknown_hardware_is_bad_usage(capsys):
    assert main(["plan", "--recipe", "smoke", "--gpu", "abacus"]) == 2
    assert "give one of a100-40" in capsys.readouterr().err
