"""The step `plan-ingest`: a source is listed, and what is new in it dealt to shards."""
