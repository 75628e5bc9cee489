"""Judges RGB clips: detectors of failures, the benchmark of the detectors, reports, the gate."""
