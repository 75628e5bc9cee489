"""Clip datasets: ingest, validation, features, latents, packing."""
