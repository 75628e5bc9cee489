"""The step `gate`: the best candidate against the version in service."""
