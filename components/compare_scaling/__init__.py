"""The step `compare-scaling`: the trainings of the scaling study beside each other."""
