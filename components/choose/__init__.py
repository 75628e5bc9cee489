"""The step `choose`: the checkpoint that asks to be deployed, and what is asked of it and its rival."""
