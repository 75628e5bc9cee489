"""How far two sets of clips are from each other as distributions of features, where there are few clips.

Two distances of features x of one set and y of the other, for continuations and the truth both of the same files:

    Fréchet   |mean x - mean y|² + tr(X + Y - 2 (X Y)^½)            Dowson & Landau, J. Multivar. Anal. 12, 1982
    kernel    E k(x, x') + E k(y, y') - 2 E k(x, y),  k(a, b) = (a·b / d + 1)³    Bińkowski et al., arXiv:1801.01401

X and Y are covariances. The Fréchet distance (Heusel et al., arXiv:1706.08500, made it usual) wants many more clips
than features: of fewer its covariances are singular, and it grows as clips get fewer. Here they are shrunk (oracle
approximating shrinkage, Chen et al., IEEE Trans. Signal Process. 58, 2010), which makes it finite, not unbiased. The
kernel distance is unbiased for any number of clips, 0 on average where nothing differs, and therefore may be negative:
it is the one to read. Clips of one file are alike, so that its means leave out pairs of clips of one file.

Features are taken in units of the truth's own spread. Intervals of 95 % are of a bootstrap over files. The floor is
the distance of two random halves of the truth, as far as halves go: of half as many clips each.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kinora.models.autoencoder import Autoencoder

Describe = Callable[[np.ndarray], np.ndarray]

LARGEST = 64  # features; more are projected on so many random directions (Johnson & Lindenstrauss, 1984)
FEWEST_FILES = 4  # two in each half
RESAMPLES, LEVEL = 200, 0.95
LEAST_SPREAD = 0.05  # of the mean spread of all features: one that hardly varies is not blown up
FLOOR = "two random halves of the truth"


def describe_by_latents(vae: Autoencoder) -> Describe:
    """Return the function that describes frames `uint8 [T, H, W, 3]` by an autoencoder's latents, three values each.

    Those are the mean over space and time, the spread over space, and how much it changes from one latent frame to the
    next, so that what moves counts.
    """
    from kinora.media.tensors import to_tensor

    def describe(frames: np.ndarray) -> np.ndarray:
        latents = vae.latents_of(to_tensor(frames)[None])[0].cpu().numpy()  # [z, t, h, w]
        steps = np.diff(latents, axis=1)
        moves = np.sqrt(np.square(steps).mean(axis=(1, 2, 3))) if steps.shape[1] else np.zeros(len(latents))
        return _few(np.concatenate([latents.mean(axis=(1, 2, 3)), latents.std(axis=(2, 3)).mean(axis=1), moves]))

    return describe


def describe_by_network(source: str) -> Describe:
    """Return the function that describes frames by a vision network, `hf:NAME`: means over time, and changes in time.

    Raises:
        UsageError: if the source is no name of this form.
        KinoraError: if it is not there, or cannot be read.
    """
    from kinora.models.hf_vision import VisionFeatures

    network = VisionFeatures(source)

    def describe(frames: np.ndarray) -> np.ndarray:
        found = network(frames)
        moves = np.sqrt(np.square(np.diff(found, axis=0)).mean(axis=0)) if len(found) > 1 else np.zeros(found.shape[1])
        return _few(np.concatenate([found.mean(axis=0), moves]))

    return describe


def distances(
    truth: np.ndarray, others: Mapping[str, np.ndarray], files: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """Return each set's distances from the truth, and the truth's halves' from each other under the name `FLOOR`.

    Args:
        truth: features of what clips show, `[N, D]`.
        others: features of what is held against each of them, `[N, D]`, by name.
        files: what each clip was cut from.
        seed: of the bootstrap and the halves.

    Returns:
        `clips`, `files`, and `kernel` and `frechet`: by name `value`, `low` and `high`. With fewer files than
        `FEWEST_FILES` instead of the distances the `reason` why there are none.
    """
    names, place = np.unique(np.asarray(files), return_inverse=True)
    counts = {"clips": len(truth), "files": len(names)}
    if len(names) < FEWEST_FILES:
        few = "1 file is" if len(names) == 1 else f"{len(names)} files are"
        reason = f"{few} too few for a distance between distributions; it takes {FEWEST_FILES}"
        return counts | {"reason": reason}
    centre, spread = truth.mean(axis=0), truth.std(axis=0)
    unit = np.maximum(spread, LEAST_SPREAD * spread.mean() + 1e-6)
    x, sets = (truth - centre) / unit, {name: (other - centre) / unit for name, other in others.items()}
    rng = np.random.default_rng(seed)
    weights = [np.ones(len(names)), *rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)]
    halves = [rng.permutation(len(names)) < len(names) // 2 for _ in range(RESAMPLES)]
    apart = place[:, None] != place[None]
    kernel, frechet = {}, {}
    for name, y in sets.items():
        within, across = _kernel(x, x) + _kernel(y, y), _kernel(x, y)
        paired = (within - across - across.T) * apart
        kernel[name] = _interval([_weighted(paired, apart, w[place], w[place]) for w in weights])
        frechet[name] = _interval([_frechet(x, y, w[place], w[place]) for w in weights])
    own = _kernel(x, x) * apart
    pairs = [(half[place].astype(float), 1.0 - half[place]) for half in halves]
    kernel[FLOOR] = _spread([_weighted(own, apart, a, a) + _weighted(own, apart, b, b) - 2 * _weighted(own, apart, a, b)
                             for a, b in pairs])  # fmt: skip
    frechet[FLOOR] = _spread([_frechet(x, x, a, b) for a, b in pairs])
    return counts | {"kernel": kernel, "frechet": frechet}


def _few(features: np.ndarray) -> np.ndarray:
    if len(features) <= LARGEST:
        return features
    directions = np.random.default_rng(len(features)).normal(size=(len(features), LARGEST))
    return np.asarray(features @ directions / np.sqrt(LARGEST))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)


def _weighted(values: np.ndarray, apart: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean of `values [N, N]` over pairs of clips of different files, which count `a [N]` and `b [N]` times.

    Both of the same clips, this is the U-statistic of Gretton et al. (J. Mach. Learn. Res. 13, 2012, lemma 6), which is
    unbiased though each continuation belongs to one truth; nan where all that is drawn is of one file.
    """
    pairs = float(a @ apart @ b)
    return float(a @ values @ b) / pairs if pairs else float("nan")


def _frechet(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Return the Fréchet distance of features `[N, D]` of which each counts `a [N]` and `b [N]` times."""
    (mean_x, cov_x), (mean_y, cov_y) = _gaussian(x, a), _gaussian(y, b)
    values, vectors = np.linalg.eigh(cov_x)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_y @ root), 0)).sum()
    return float(np.square(mean_x - mean_y).sum() + np.trace(cov_x) + np.trace(cov_y) - 2 * shared)


def _gaussian(x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean, and the covariance shrunk towards a sphere as far as so few clips ask for."""
    n, d = weights.sum(), x.shape[1]
    mean = weights @ x / n
    s = (x - mean).T * weights @ (x - mean) / n
    size, square = np.trace(s), np.square(s).sum()
    rest = (n + 1 - 2 / d) * (square - size**2 / d)
    shrink = 1.0 if rest <= 0 else min(1.0, ((1 - 2 / d) * square + size**2) / rest)
    return mean, (1 - shrink) * s + shrink * size / d * np.eye(d)


def _interval(values: Sequence[float]) -> dict[str, float]:
    """Return the first value, and the interval of the others, which were resampled."""
    return {"value": values[0], **_ends(values[1:])}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"value": float(np.nanmean(values)), **_ends(values)}


def _ends(values: Sequence[float]) -> dict[str, float]:
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"low": float(low), "high": float(high)}
