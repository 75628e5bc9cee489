"""Failures edited into the pixels of any clip, real footage first.

What is edited is found by a segmentation of its own (`cutouts`): nothing here uses what the detectors see with.
"""
