"""The step `gate`: the best candidate against the deployed version."""
