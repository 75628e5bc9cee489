"""The step `ingest`: raw clips become a dataset."""
