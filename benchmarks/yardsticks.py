"""The packaged model by yardsticks that others published.

python -m benchmarks.yardsticks [--pairs 40] [--clips 40]
"""

import tyro

from evaluation.yardsticks.page import markdown
from evaluation.yardsticks.run import Eyes, Plan, of_version
from kinora.generation.model_version import read_version
from kinora.generation.reference import reference_folder


def measure(pairs: int = 40, clips: int = 40) -> str:
    """Return the yardsticks as a section of Markdown."""
    folder = reference_folder()
    assert folder is not None, "a model comes with the package"
    measured = of_version(read_version(folder), Plan(pairs, clips), Eyes())
    return f"## Published yardsticks\n\n{markdown(measured)}\n"


if __name__ == "__main__":
    print(tyro.cli(measure))
