"""The step `publish-features`: features of clips go to the feature store."""
