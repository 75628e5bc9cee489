"""The images: what can be held against the repository without building them."""

import re

from components.images import CPU_IMAGE, GPU_IMAGE, VERSION
from kinora import __version__


def test_the_images_carry_the_version_of_the_code():
    assert __version__ == VERSION
    assert f"kinora/python:{__version__}-cpu" == CPU_IMAGE
    assert f"kinora/python:{__version__}-gpu" == GPU_IMAGE


def test_what_is_copied_exists_and_every_package_is_copied(root):
    dockerfile = (root / "components" / "Dockerfile").read_text()
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE) for name in line.split()[:-1]
    }
    assert all((root / name).exists() for name in copied)
    packages = re.search(r"root_packages = \[(.+)\]", (root / "pyproject.toml").read_text()).group(1)
    assert set(re.findall(r'"(\w+)"', packages)) <= copied


def test_targets_are_built_as_the_comment_says(root):
    dockerfile = (root / "components" / "Dockerfile").read_text()
    for image in (CPU_IMAGE, GPU_IMAGE):
        target = image.rsplit("-", 1)[1]
        assert f"--target {target} -t {image} ." in dockerfile
        assert re.search(rf"^FROM \w+ AS {target}$", dockerfile, re.MULTILINE)


def test_one_version_of_torch_is_locked(root):
    assert len(re.findall(r"^torch==\S+$", (root / "requirements.lock").read_text(), re.MULTILINE)) == 1
