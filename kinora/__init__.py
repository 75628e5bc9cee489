"""The library: what a world simulator is. It knows nothing of Kubeflow, Kubernetes or BentoML."""

__version__ = "0.1.0"
