"""Colour: which matrix a video that names none has, and HDR pictures as the SDR pictures that a screen shows.

Pictures are `[H, W, 3]`, RGB. E' is a signal in [0, 1], light is in candela per square metre (nits).
"""

from functools import cache

import av
import numpy as np

PQ, HLG = 16, 18  # transfer characteristics (ITU-T H.273), in AVFrame.color_trc
BT2020, P3 = 9, 12  # colour primaries (ITU-T H.273)
UNSPECIFIED, RGB, BT709, BT601, BT2020_MATRIX = 2, 0, 1, 5, 9  # matrices (ITU-T H.273), which swscale counts alike
# SDR white is shown as bright as diffuse white in HDR (ITU-R BT.2408), and most HDR footage is graded for 1000 nits.
WHITE, PEAK = 203.0, 1000.0
# Linear light to that of BT.709's primaries, all with the white point D65 (ITU-R BT.2087; SMPTE EG 432-1 for P3).
TO_BT709 = {
    BT2020: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    P3: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
M1, M2 = 2610 / 16384, 2523 / 4096 * 128  # constants of SMPTE ST 2084
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def matrix_of(frame: av.VideoFrame) -> int | None:
    """Return the matrix between a frame's YUV and RGB; None for RGB itself.

    Where a frame names none, it is what players take.
    """
    if frame.colorspace not in (UNSPECIFIED, 3):  # 3 is reserved
        return None if frame.colorspace == RGB else frame.colorspace
    if frame.color_trc in (PQ, HLG):
        return BT2020_MATRIX
    return usual_matrix(frame.width, frame.height)


def usual_matrix(width: int, height: int) -> int:
    """Return the matrix that players take a video of some size to have where it names none."""
    return BT709 if width >= 1280 or height > 576 else BT601


def is_hdr(transfer: int) -> bool:
    """Say whether a transfer characteristic is PQ or HLG."""
    return transfer in (PQ, HLG)


def tone_mapped(codes: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """Return an HDR picture as SDR of BT.709, `uint8 [H, W, 3]`.

    Up to about 90 nits light stays as it is; what is brighter is compressed below the white of SDR, in the same
    proportion for the three colours of a pixel, so that hues stay.

    Args:
        codes: E' in 65,535ths, `uint16 [H, W, 3]`.
        transfer: PQ or HLG.
        primaries: as in ITU-T H.273; others than BT.2020's and P3's are taken as BT.709's.
    """
    light = _pq_light()[codes] if transfer == PQ else _hlg_light(codes)
    if primaries in TO_BT709:
        light = light @ np.array(TO_BT709[primaries], np.float32).T
    light = np.clip(light, 0, PEAK)
    brightest = light.max(axis=-1, keepdims=True)
    steps = np.float32((len(_gains()) - 1) / PEAK**0.5)  # finer where it is dark
    light *= _gains()[np.rint(np.sqrt(brightest) * steps).astype(np.int32)]
    signal = np.minimum(light / np.float32(WHITE), 1) ** np.float32(1 / 2.4)  # the inverse of ITU-R BT.1886
    return np.asarray(np.rint(255 * signal), np.uint8)


def pq_signal(light: np.ndarray) -> np.ndarray:
    """Return E' of light in nits (SMPTE ST 2084, equation 5.2)."""
    power = (np.asarray(light, np.float64) / 10_000) ** M1
    return np.asarray(((C1 + C2 * power) / (1 + C3 * power)) ** M2)


def pq_light(signal: np.ndarray) -> np.ndarray:
    """Return the nits of E' (SMPTE ST 2084, equation 5.1)."""
    power = np.asarray(signal, np.float64) ** (1 / M2)
    return np.asarray(10_000 * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1))


def compressed(light: np.ndarray) -> np.ndarray:
    """Return light of up to `PEAK` nits as light of up to `WHITE` nits (the EETF of ITU-R BT.2390, section 5.4.1)."""
    whole = pq_signal(np.array(PEAK))
    e1, most = pq_signal(light) / whole, pq_signal(np.array(WHITE)) / whole
    knee = 1.5 * most - 0.5
    t = (e1 - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return pq_light(np.where(e1 < knee, e1, spline) * whole)


@cache
def _pq_light() -> np.ndarray:
    return pq_light(np.arange(65_536) / 65_535).astype(np.float32)


@cache
def _hlg_scene() -> np.ndarray:
    """Return the scene light of every code (the inverse OETF of ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = np.arange(65_536) / 65_535
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)


def _hlg_light(codes: np.ndarray) -> np.ndarray:
    """Return the light of a display of 1000 nits (the OOTF of ITU-R BT.2100, table 5, with gamma 1.2)."""
    scene = _hlg_scene()[codes]
    luminance = scene @ np.array((0.2627, 0.6780, 0.0593), np.float32)
    return np.asarray(np.float32(PEAK) * scene * luminance[..., None] ** np.float32(0.2))


@cache
def _gains() -> np.ndarray:
    """Return by how much light is compressed, evenly spaced in the square root of light up to `PEAK`."""
    light = np.maximum(np.linspace(0, PEAK**0.5, 4097) ** 2, 1e-6)
    return np.asarray(compressed(light) / light, np.float32)
