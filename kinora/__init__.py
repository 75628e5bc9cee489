"""Kinora: train, judge and serve a video world simulator."""

__version__ = "0.1.0"
