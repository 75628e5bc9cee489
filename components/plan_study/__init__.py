"""The step `plan-study`: the trainings of a study are listed."""
