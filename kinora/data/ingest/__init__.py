"""Ingest: raw videos and images, or simulated worlds, become a clip dataset; what cannot be used goes to quarantine.

A source is listed and its inputs are dealt to shards (`shards`). Each shard is read by processes with limits of memory
and time (`pool`, `worker`), and is there whole or not at all, so that a run that was interrupted, or whose source grew,
does only what is left. At the end all shards together become one dataset (`merge`): copies are found, the rules of
curation applied, and clips held out (`split`). `dataset` does all of it here; a pipeline deals the shards to pods.
"""
