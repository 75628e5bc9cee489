"""Figures that others published, and where they stand.

They were measured with other prompts and scenes, at other sizes: they say what is usual, not who is better.
"""

# Average plausibility preference error, %. The paper's own table could not be had; these are as a note on it quotes.
LIKEPHYS = {"Hunyuan T2V": 43.6, "CogVideoX-2B": 48.2, "AnimateDiff": 60.8}
LIKEPHYS_SOURCE = (
    "LikePhys, ICLR 2026 (arXiv:2510.11512), averages over its twelve scenarios as quoted in the note on it at "
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
