"""The scripts that measure what the documentation reports."""
