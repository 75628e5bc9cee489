"""A version that passed the gate goes into service."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def promote(version: dsl.Input[dsl.Model], artifact_root: str) -> str:
    """Put a model version into BentoML's model store and under the artifact root; return its place."""
    from pathlib import Path

    from components.step import running

    with running("promote", artifact_root):
        from components.choosing import promote_version

        place = promote_version(Path(version.path), artifact_root)
        print(f"promoted {place}")
    return place
