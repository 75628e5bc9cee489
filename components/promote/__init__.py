"""The step `promote`: a version goes into service."""
