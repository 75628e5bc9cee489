"""Training of the networks: loops, checkpoints, sharded processes and their launcher."""
