"""Rectified flow: the path, the loss, the sampler, the mask of conditioning frames."""
