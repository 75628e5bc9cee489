"""The images that the components run in on a cluster, built from `components/Dockerfile`.

The embedded runner does not use them; it warns about names without "python" in them.
"""

REPOSITORY = "kinora/python"
VERSION = "0.1.0"
CPU_IMAGE = f"{REPOSITORY}:{VERSION}-cpu"
GPU_IMAGE = f"{REPOSITORY}:{VERSION}-gpu"

# Modules that a configuration names, which nothing imports in its source.
LOADED_BY_NAME = ("kinora.models.hf_autoencoder", "kinora.models.hf_text_encoder")
# What is started in each besides its components, as modules: commands, servers, and processes that these start.
PROGRAMS = {
    "cpu": (
        "cli.main",
        *LOADED_BY_NAME,
        "kinora.training.transformer_worker",
        "pipelines.demo",
        "pipelines.local_runner",
        "pipelines.check_drift",
        "pipelines.framing_study",
        "pipelines.law_study",
        "pipelines.scaling_study",
        "pipelines.world_simulator",
        "serving.drift",
        "serving.gateway",
        "serving.worker",
    ),
    "gpu": ("cli.doctor", *LOADED_BY_NAME, "kinora.training.transformer_worker", "serving.worker"),
}
