"""Failures of a clip with itself: flicker, stops, frames that do not follow, scenes that do not hold to themselves."""
