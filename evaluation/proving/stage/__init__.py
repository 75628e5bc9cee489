"""The physics of scenes and of their failures, for every family of looks."""
