"""What a source holds, in one digest: by it a step knows whether what it made before still holds."""

import hashlib

from kinora.data.ingest.config import WORLDS
from kinora.data.ingest.sources import key, open_source


def inputs_digest(source: str) -> str:
    """Return the sha256 over the inputs of a source as they are now; the simulated worlds have none but the recipe.

    Raises:
        UsageError, KinoraError: as `open_source`, or if the source is empty.
    """
    total = hashlib.sha256()
    if source != WORLDS:
        for item in open_source(source).items():
            total.update(key(item).to_bytes(8, "little", signed=True))
    return total.hexdigest()
