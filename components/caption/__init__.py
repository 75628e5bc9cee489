"""The step `caption`: every clip gets a caption."""
