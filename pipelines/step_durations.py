"""How long each step takes where no earlier run has told: seconds on two cores, per recipe."""

SECONDS: dict[str, dict[str, float]] = {
    "tiny": {
        "ingest": 14,
        "validate": 6,
        "train-captioner": 40,
        "caption": 6,
        "publish-features": 10,
        "train-autoencoder": 65,
        "encode-latents": 13,
        "pretrain": 330,
        "evaluate": 25,
        "gate": 3,
        "promote": 3,
    },
    "smoke": {
        "ingest": 3,
        "validate": 4,
        "train-captioner": 4,
        "caption": 4,
        "publish-features": 9,
        "train-autoencoder": 4,
        "encode-latents": 3,
        "pretrain": 20,
        "evaluate": 9,
        "gate": 3,
        "promote": 3,
    },
}
