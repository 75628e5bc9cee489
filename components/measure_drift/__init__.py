"""The step `measure_drift`: requests are held beside training captions."""
