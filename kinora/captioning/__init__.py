"""Captions for clips that have none, how right they are, and prompts in their style."""
