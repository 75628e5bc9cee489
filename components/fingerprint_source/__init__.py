"""The step `fingerprint_source`: what a source holds now."""
