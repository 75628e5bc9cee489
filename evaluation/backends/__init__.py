"""Networks of transformers in place of, or beside, what `evaluation.evidence` measures itself; see `Backends`."""
