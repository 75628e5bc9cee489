"""What a source holds now, so that a schedule of months does not train on what it held when it was made."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def fingerprint_source(source: str, artifact_root: str, fingerprint: str) -> str:
    """Return a digest of the source's inputs as they are now, and of the fingerprint that the run was given."""
    import hashlib

    from components.runtime.step import running

    with running("fingerprint-source", artifact_root):
        from kinora.config import digest
        from kinora.data.ingest.config import WORLDS
        from kinora.data.ingest.shards import key
        from kinora.data.ingest.sources import open_source

        inputs = hashlib.sha256()
        for item in open_source(source).items() if source != WORLDS else ():
            inputs.update(key(item).to_bytes(8, "little", signed=True))
    return digest({"given": fingerprint, "inputs": inputs.hexdigest()})
