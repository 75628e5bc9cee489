"""The step `read-shards`: inputs become clips, a shard at a time."""
