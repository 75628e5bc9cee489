"""Failures of physics: objects that appear, vanish, or fall as nothing falls."""
