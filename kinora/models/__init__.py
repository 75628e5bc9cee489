"""The networks: video autoencoder, diffusion transformer, text encoder, captioner."""
