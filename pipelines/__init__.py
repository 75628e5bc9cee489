"""The pipeline, compiled for a cluster or run here and watched; the demo."""
