"""The step `compare-framing`: the trainings of the framing study beside each other."""
