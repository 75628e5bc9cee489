"""Proves what the detectors are worth, on clips whose failures are known."""
