"""The feature store of clips: what was known of each clip, and since when; it outlives every run."""

from kinora.data.features.artifact import publish_features, read_features
from kinora.data.features.definitions import FEATURES, ONLINE_FEATURES
from kinora.data.features.prompts import KnownPrompt
from kinora.data.features.report import feature_report
from kinora.data.features.store import Features

__all__ = [
    "FEATURES",
    "ONLINE_FEATURES",
    "Features",
    "KnownPrompt",
    "feature_report",
    "publish_features",
    "read_features",
]
