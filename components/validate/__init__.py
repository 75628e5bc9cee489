"""The step `validate`: the dataset is held to its contract."""
