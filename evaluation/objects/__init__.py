"""Objects before a plain background, as the simulated worlds draw them: what a prompt of theirs is held against."""
