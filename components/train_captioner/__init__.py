"""The step `train-captioner`: the captioner is trained."""
