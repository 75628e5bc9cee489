"""Figures that others published, and where they stand.

They were measured with other prompts and scenes, at other sizes: they say what is usual, not who is better.
"""

# Average plausibility preference error, %. The paper's own table could not be had; these are as a note on it quotes.
LIKEPHYS = {"Hunyuan T2V": 43.6, "CogVideoX-2B": 48.2, "AnimateDiff": 60.8}
LIKEPHYS_SOURCE = (
    "LikePhys, ICLR 2026 (arXiv:2510.11512), averages over its own twelve scenarios, as quoted in the note on it at "
    "papernotes.org, not read in the paper itself"
)
# VBench, %.
VBENCH = {
    "HunyuanVideo": {
        "dynamic degree": 70.83,
        "temporal flickering": 99.44,
        "motion smoothness": 98.99,
        "subject consistency": 97.37,
        "background consistency": 97.76,
    },
    "VideoCrafter 2.0": {
        "dynamic degree": 42.50,
        "temporal flickering": 98.41,
        "motion smoothness": 97.73,
        "subject consistency": 96.85,
        "background consistency": 98.22,
    },
}
VBENCH_SOURCE = "the table of all VBench dimensions in Lumina-Video (arXiv:2502.06782)"

# Velocity errors by scenario and whether sizes and speeds are inside the ranges of training.
PHYWORLD: dict[str, dict[tuple[str, str], float]] = {
    "the parser's error": {
        ("uniform motion", "in"): 0.0099,
        ("collision", "in"): 0.0117,
        ("parabola", "in"): 0.0210,
    },
    "the autoencoder alone": {
        ("uniform motion", "in"): 0.0105,
        ("collision", "in"): 0.0131,
        ("parabola", "in"): 0.0212,
    },
    "DiT-S, 30K clips": {
        ("uniform motion", "in"): 0.022,
        ("uniform motion", "out"): 0.435,
        ("collision", "in"): 0.027,
        ("collision", "out"): 0.187,
        ("parabola", "in"): 0.051,
        ("parabola", "out"): 0.306,
    },
    "DiT-B, 300K clips": {
        ("uniform motion", "in"): 0.015,
        ("uniform motion", "out"): 0.328,
        ("collision", "in"): 0.019,
        ("collision", "out"): 0.166,
        ("parabola", "in"): 0.038,
        ("parabola", "out"): 0.376,
    },
    "DiT-L, 3M clips": {
        ("uniform motion", "in"): 0.012,
        ("uniform motion", "out"): 0.427,
        ("collision", "in"): 0.015,
        ("collision", "out"): 0.161,
        ("parabola", "in"): 0.033,
        ("parabola", "out"): 0.338,
    },
}
PHYWORLD_SOURCE = (
    "Kang et al., arXiv:2411.02385: the parser and the autoencoder in table 3; of the models the text of section 3.2 "
    "has 0.022, 0.012, 0.427 and 0.328 of uniform motion, and the others are read off the markers of figure 3, to "
    "about 0.003"
)
