"""Models that say whether a clip shows what words ask for, where the evaluator's own detectors cannot."""
