"""The step `train-autoencoder`: the autoencoder is trained."""
