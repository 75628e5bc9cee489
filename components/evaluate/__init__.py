"""The step `evaluate`: a checkpoint, or what is deployed, is judged."""
