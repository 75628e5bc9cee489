"""Failures of a clip with itself: it freezes, or frames do not follow from each other."""
