"""Fits the weights that candidates of failures are weighed by: what detectors measure, against what is true."""
