"""A pipeline with the shape of the real one, whose steps take no time: what the runner's tests run."""

from kfp import dsl

IMAGE = "kinora/python:test"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def make(count: int, behaviour: str, model: dsl.Output[dsl.Model], metrics: dsl.Output[dsl.Metrics]) -> list:
    """Make `count` names; `behaviour` may be to fail in one of several ways, or to start a process and hang."""
    import subprocess
    import time
    from pathlib import Path

    from components.runtime.step import running
    from kinora.errors import KinoraError

    with running("make", str(Path(model.path).parent)) as step:
        Path(model.path).mkdir()
        if behaviour == "fails":
            raise KinoraError("there is nothing to make; give something.")
        if behaviour == "broken":
            raise ZeroDivisionError("a bug")
        if behaviour == "full":
            raise OSError(28, "No space left on device", model.path)
        if behaviour == "hangs":
            child = subprocess.Popen(["sleep", "987"], start_new_session=True)
            Path(model.path, "pid").write_text(str(child.pid))
            print("hanging", child.pid, flush=True)
            time.sleep(987)
        step.measured(metrics, {"count": count})
    return [f"item-{index}" for index in range(count)]


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def judge(name: str, model: dsl.Input[dsl.Model], score: dsl.Output[dsl.Artifact], report: dsl.Output[dsl.HTML]):
    """Score one name by its length, and say how many threads it was given; hang where the environment says so."""
    import os
    import time
    from pathlib import Path

    if os.environ.get("TOY_HANGS") == name:
        Path(f"{score.path}.hangs").touch()
        time.sleep(987)
    Path(score.path).write_text(str(len(name)))
    Path(report.path).write_text(f"<h1>{name}</h1>")
    score.metadata["threads"] = os.environ["OMP_NUM_THREADS"]


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pick(scores: dsl.Input[list[dsl.Artifact]], model: dsl.Input[dsl.Model]) -> str:
    """Say "go" if every score is there."""
    from pathlib import Path

    return "go" if all(int(Path(score.path).read_text()) == 6 for score in scores) else "stay"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def publish(model: dsl.Input[dsl.Model]):
    """The last step, behind a condition."""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def aside(behaviour: str, note: dsl.Output[dsl.Markdown]):
    """A step that hangs on nothing else."""
    from pathlib import Path

    Path(note.path).write_text(behaviour)


@dsl.pipeline(name="toy")
def toy(count: int = 3, behaviour: str = "works"):
    """Make, judge each, pick, publish."""
    made = make(count=count, behaviour=behaviour)
    model = made.outputs["model"]
    with dsl.ParallelFor(made.outputs["Output"], parallelism=2) as name:
        judged = judge(name=name, model=model)
    picked = pick(scores=dsl.Collected(judged.outputs["score"]), model=model).set_caching_options(False)
    with dsl.If(picked.output == "go"):
        publish(model=model).set_caching_options(False)
    aside(behaviour=behaviour)
