"""The images that the components run in on a cluster, built from `components/Dockerfile`.

The embedded runner does not use them; it warns about names without "python" in them.
"""

REPOSITORY = "kinora/python"
VERSION = "0.1.0"
CPU_IMAGE = f"{REPOSITORY}:{VERSION}-cpu"
GPU_IMAGE = f"{REPOSITORY}:{VERSION}-gpu"
