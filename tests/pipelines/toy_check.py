"""A pipeline that starts another one behind a condition, as a check of drift does; its steps take no time."""

from kfp import dsl
from toy import toy

IMAGE = "kinora/python:test"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def decide(answer: str) -> str:
    """Say what it is told to."""
    return answer


@dsl.pipeline(name="toy-check")
def toy_check(answer: str, count: int = 2):
    """Decide, and run the toy pipeline if that says so."""
    decided = decide(answer=answer).set_caching_options(False)
    with dsl.If(decided.output == "train"):
        toy(count=count, behaviour="works")
