"""Pictures that turn into their negatives, as a whole or in a part, from one frame to the next.

No light, motion or camera makes dark of what was light and light of what was dark in the same place, so that hardly any
faultless clip has blocks whose pattern is found in the next frame turned over, and nowhere near as it was.
"""

import cv2
import numpy as np

BLOCK, STEP, REACH = 6, 3, 2  # pixels of small frames: sides of blocks, between them, and that they may have moved
FLAT = 4.0  # levels: blocks that vary less have no pattern
TURNED, AS_IT_WAS = 0.9, 0.5  # correlations: of the negative at least, of the pattern as it was at most


def negated(a_HWC: np.ndarray, b_HWC: np.ndarray) -> float:
    """Return the share of the blocks of a small frame, float32, whose negative is in the next one, 0..1."""
    around = cv2.copyMakeBorder(b_HWC, REACH, REACH, REACH, REACH, cv2.BORDER_REFLECT)
    height, width = a_HWC.shape[:2]
    turned = []
    for y in range(0, height - BLOCK + 1, STEP):
        for x in range(0, width - BLOCK + 1, STEP):
            block = a_HWC[y : y + BLOCK, x : x + BLOCK]
            if cv2.meanStdDev(block)[1].max() <= FLAT:
                turned.append(False)
                continue
            window = around[y : y + BLOCK + 2 * REACH, x : x + BLOCK + 2 * REACH]
            least, most, _, _ = cv2.minMaxLoc(cv2.matchTemplate(window, block, cv2.TM_CCOEFF_NORMED))
            turned.append(least < -TURNED and most < AS_IT_WAS)
    return float(np.mean(turned))
