"""Sources of footage: folders, lists, tables, tar shards and datasets, on this disk or on an S3 server."""

from kinora.data.ingest.sources.opening import open_source
from kinora.data.ingest.sources.source import Item, Source, key

__all__ = ["Item", "Source", "key", "open_source"]
