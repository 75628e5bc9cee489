"""What a source holds now, so that a schedule of months does not train on what it held when it was made."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def fingerprint_source(source: str, artifact_root: str) -> str:
    """Return the digest of the code and of the source's inputs as they are now, as `kinora pipeline` makes it."""
    from components.runtime.step import running

    with running("fingerprint-source", artifact_root):
        from components.runtime.code_digest import code_digest
        from kinora.config import digest
        from kinora.data.ingest.fingerprint import inputs_digest

        inputs = inputs_digest(source)
    return digest({"code": code_digest(), "inputs": inputs})
