"""The step `evaluate`: a checkpoint is judged."""
