"""Against gradients that would undo a training: clip the large, leave out the impossible."""

from typing import Any

import torch
from torch import Tensor

from kinora.errors import KinoraError

WINDOW = 64  # recent steps whose norms say what is usual
LEAST = 16  # of them, before a norm can be unusual
FAR = 10.0  # times the median of the recent norms
MOST_SKIPPED = 20  # steps in a row, before the training stops


class GradientGuard:
    """Decides on each step from the norm of its gradient over all ranks, on the device: no step waits for it.

    A gradient longer than `max_norm` is scaled down to it. A step is skipped, so that it changes nothing, if its norm
    is not finite or more than `FAR` times the median of the recent ones.
    """

    def __init__(self, max_norm: float, device: torch.device):
        self.max_norm = max_norm
        self.recent = torch.full((WINDOW,), torch.nan, device=device)
        self.skipped = torch.zeros((), dtype=torch.int64, device=device)  # in a row, until now

    def judge(self, norm: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 or 0, whether the step is kept, and the factor of its gradient, from the norm; all are scalars."""
        usual = self.recent.nanmedian()
        unknown = self.recent.isfinite().sum() < LEAST
        kept = norm.isfinite() & (unknown | (norm <= FAR * usual))
        self.recent = torch.where(kept, torch.cat([self.recent.narrow(0, 1, WINDOW - 1), norm.view(1)]), self.recent)
        self.skipped = torch.where(kept, torch.zeros_like(self.skipped), self.skipped + 1)
        factor = torch.where(kept, (self.max_norm / (norm + 1e-6)).clamp(max=1), torch.zeros_like(norm))
        return kept.float(), factor

    def check(self) -> None:
        """Refuse to go on with a training that has stopped learning.

        Raises:
            KinoraError: if the last `MOST_SKIPPED` steps or more were skipped.
        """
        skipped = int(self.skipped)
        if skipped >= MOST_SKIPPED:
            raise KinoraError(
                f"the last {skipped} steps were skipped, because their gradients were not finite or far larger than "
                "before; the training has diverged. Train again with a lower learning rate or max_gradient_norm."
            )

    def state(self) -> dict[str, Any]:
        """Return what the next decisions depend on, as plain JSON."""
        return {"recent": self.recent[self.recent.isfinite()].tolist(), "skipped": int(self.skipped)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.recent.fill_(torch.nan)
        if state["recent"]:
            self.recent[-len(state["recent"]) :] = torch.tensor(state["recent"])
        self.skipped.fill_(state["skipped"])
