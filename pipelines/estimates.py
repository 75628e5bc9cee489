"""How long each step takes where no earlier run has told: seconds on two cores, per recipe."""

SECONDS: dict[str, dict[str, float]] = {
    "tiny": {
        "ingest": 20,
        "validate": 6,
        "train-captioner": 65,
        "caption": 10,
        "publish-features": 12,
        "train-autoencoder": 155,
        "encode-latents": 10,
        "pretrain": 330,
        "evaluate": 45,
        "choose": 8,
        "promote": 4,
    },
    "smoke": {
        "ingest": 4,
        "validate": 5,
        "train-captioner": 5,
        "caption": 4,
        "publish-features": 10,
        "train-autoencoder": 6,
        "encode-latents": 4,
        "pretrain": 25,
        "evaluate": 12,
        "choose": 5,
        "promote": 4,
    },
}
