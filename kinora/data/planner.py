"""Which clips are trained on in which step, and which of them together: arithmetic on lengths; no data is read.

Videos and images are two streams. Each is one seeded permutation of its clips after another, so that every clip comes
once an epoch, whatever its length. A *window* of some steps takes the next so many tokens of both, and spreads its
clips over *packs* of at most `tokens_per_pack` tokens: the longest clip first, each into the pack that costs least of
those with room for it. What a window takes follows from its number and not from the windows before it, so that the plan
of any step is found at once.
"""

import heapq
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kinora.errors import KinoraError

Ints = npt.NDArray[np.int64]

WINDOW_PACKS, WINDOW_STEPS = 256, 4  # of a window, at least, where clips are long; fewer do where all are short
# How full packs may be planned to be: the largest of these at which nothing was left over in trials.
FILLS = (0.998, 0.996, 0.994, 0.992, 0.99, 0.985, 0.98, 0.97, 0.96, *(n / 100 for n in range(94, 28, -2)))
TRIED = 512  # packs in windows that a fill is tried on, about; at most 3 windows
ROOMY = 32  # packs between which clips are moved to make room for another, those with most room
CLIPS_PER_TURN = 1024
STEPS = 2  # of a window: what their shuffling is drawn as, videos being 0 and images 1
NOWHERE = -1  # in place of a pack or clip


@dataclass(frozen=True)
class Pack:
    """Clips that are trained on as one sequence.

    clips: their numbers in the dataset.
    stills: of which clips only the first latent frame is taken, as an image.
    places: their places in the step (0, 1, ... over all its packs).
    tokens: of all of them together.
    cost: what they cost, in tokens that cost nothing for attention: the sum of length + length^2 / `attention_length`.
    """

    clips: tuple[int, ...]
    stills: tuple[bool, ...]
    places: tuple[int, ...]
    tokens: int
    cost: float


class Planner:
    """The packs of every step: a function of the step and of these arguments alone; no rank is among them.

    Args:
        grids: `[n, 3]` patches of each clip: latent frames, rows, columns. A clip of one frame is an image.
        tokens_per_pack: the most tokens of a pack.
        packs_per_step: how many packs a step has. Where a window's clips happen to fit worse than those of the trials,
            which is rare, some step has one more.
        image_share: share of the tokens that come from images, or from first frames of videos where there are none.
        attention_length: the length of clips at which attention costs as much as everything else. A layer of width d
            takes about 24 d^2 operations a token, and 4 d more for each token that it attends to: 6 d.
        seed: of the permutations.
        name: how a sentence names a clip of a number.

    Raises:
        KinoraError: if there are no clips, or one is longer than a pack.
    """

    def __init__(
        self,
        grids: npt.ArrayLike,
        *,
        tokens_per_pack: int,
        packs_per_step: int,
        image_share: float = 0.0,
        attention_length: int = 6 * 384,
        seed: int = 0,
        name: Callable[[int], str] = str,
    ):
        shapes = np.asarray(grids, np.int64).reshape(-1, 3)
        if not len(shapes):
            raise KinoraError("there are no clips to train on; ingest some.")
        lengths = shapes.prod(axis=1)
        check_lengths(lengths, tokens_per_pack, name)
        self.tokens_per_pack, self.packs_per_step = tokens_per_pack, packs_per_step
        self.attention_length, self.seed = attention_length, seed
        videos, images = np.flatnonzero(shapes[:, 0] > 1), np.flatnonzero(shapes[:, 0] == 1)
        self.first_frames = not len(images)
        still = (videos, shapes[videos, 1:].prod(axis=1)) if self.first_frames else (images, lengths[images])
        share = image_share if len(videos) else 1.0
        self.streams = [
            (number, Stream(*clips, (seed, number)), part)
            for number, (clips, part) in enumerate((((videos, lengths[videos]), 1 - share), (still, share)))
            if part > 0
        ]
        self.longest = max(stream.longest for _, stream, _ in self.streams)
        packs = max(WINDOW_PACKS, WINDOW_STEPS * packs_per_step) * min(1.0, 4 * self.longest / tokens_per_pack)
        self.window_steps = max(1, round(packs / packs_per_step))
        self._window = lru_cache(maxsize=2)(self._plan)
        self.fill = FILLS[min(bisect_left(FILLS, True, key=self._fits), len(FILLS) - 1)]

    def packs(self, step: int) -> list[Pack]:
        """Return the packs of a step (0, 1, ...)."""
        window, number = divmod(step, self.window_steps)
        return self._window(window)[number]

    def _plan(self, window: int) -> list[list[Pack]]:
        """Return the packs of each step of a window."""
        clips, stills, lengths = self._clips(window, self.fill)
        count = self.window_steps * self.packs_per_step
        members = spread(lengths, count, self.tokens_per_pack, self.attention_length)
        costs = [sum(lengths[i] * (1 + lengths[i] / self.attention_length) for i in some) for some in members]
        # Packs of nearly the same cost make a step together; the steps are then shuffled.
        ranked = sorted(range(len(members)), key=lambda pack: (costs[pack], pack))
        together = np.array_split(np.array(ranked), self.window_steps)
        (order,) = shuffled(1, len(together), (self.seed, STEPS, window))
        steps = []
        for number in order:
            packs, place = [], 0
            for pack in together[number]:
                some = members[pack]
                packs.append(
                    Pack(
                        tuple(clips[i] for i in some),
                        tuple(stills[i] for i in some),
                        tuple(range(place, place + len(some))),
                        sum(lengths[i] for i in some),
                        costs[pack],
                    )
                )
                place += len(some)
            steps.append(packs)
        return steps

    def _clips(self, window: int, fill: float, fullest: bool = False) -> tuple[list[int], list[bool], list[int]]:
        """Return the numbers of a window's clips, which of them are first frames, and their lengths."""
        clips, stills, lengths = list[int](), list[bool](), list[int]()
        for number, stream, part in self.streams:
            tokens = max(1, int(self.window_steps * self.packs_per_step * self.tokens_per_pack * fill * part))
            found = stream.between(window * tokens, (window + 1) * tokens + stream.longest * fullest)
            clips += stream.clips[found].tolist()
            lengths += stream.lengths[found].tolist()
            stills += [number == 1 and self.first_frames] * len(found)
        return clips, stills, lengths

    def _fits(self, fill: float) -> bool:
        """Try to pack some windows that are as full as any can be: a last clip may reach beyond what was taken."""
        count = self.window_steps * self.packs_per_step
        return all(
            len(spread(self._clips(window, fill, True)[2], count, self.tokens_per_pack, self.attention_length)) == count
            for window in range(min(3, -(-TRIED // count)))
        )


class Stream:
    """Clips of some lengths, in one permutation after another, as a line of tokens without end.

    A turn is one epoch; of few clips it is several, which are shuffled at once.
    """

    def __init__(self, clips: Ints, lengths: Ints, seed: Sequence[int]):
        self.clips, self.lengths, self.seed = clips.astype(np.int32), lengths.astype(np.int32), tuple(seed)
        self.epochs = max(1, CLIPS_PER_TURN // len(clips))
        self.total, self.longest = self.epochs * int(lengths.sum()), int(lengths.max())
        self._turn = lru_cache(maxsize=2)(self._shuffled)

    def between(self, start: int, stop: int) -> npt.NDArray[np.int32]:
        """Return the clips (places in `clips`) whose first token is at `start` or after it, and before `stop`."""
        found = []
        for turn in range(start // self.total, (stop - 1) // self.total + 1):
            order, begins = self._turn(turn)
            first, last = np.searchsorted(begins, [start - turn * self.total, stop - turn * self.total])
            found.append(order[first:last])
        return np.concatenate(found)

    def _shuffled(self, turn: int) -> tuple[npt.NDArray[np.int32], Ints]:
        """Return the clips of a turn in their order, and the token at which each begins."""
        order = shuffled(self.epochs, len(self.clips), (*self.seed, turn)).ravel()
        ends = np.cumsum(self.lengths[order], dtype=np.int64)
        return order, ends - self.lengths[order]


def shuffled(rows: int, count: int, seed: Sequence[int]) -> npt.NDArray[np.int32]:
    """Return permutations of `count` numbers, `[rows, count]`, the same for a seed in every version of NumPy."""
    # What a bit generator gives is promised to stay; how a permutation is drawn from it is not.
    bits = np.random.Philox(np.random.SeedSequence([number % 2**64 for number in seed]))
    return bits.random_raw(rows * count).reshape(rows, count).argsort(axis=1, kind="stable").astype(np.int32)


def spread(lengths: Sequence[int], packs: int, budget: int, attention_length: int) -> list[list[int]]:
    """Spread clips over packs of at most `budget` tokens, of nearly the same cost.

    The longest clip comes first, and each goes to the pack that costs least of those with room for it. For those that
    find no room, others are moved. Where that is not possible a pack is added: there may be more than `packs` in the
    end, and never fewer.
    """
    sizes = np.asarray(lengths, np.int64)
    order = np.argsort(-sizes, kind="stable").tolist()
    pack_of = np.full(len(sizes), NOWHERE)
    free, costs = np.full(packs, budget, np.int64), np.zeros(packs, np.int64)
    cheapest = [(0, pack) for pack in range(packs)]  # a heap of (cost, pack); entries of earlier costs stay in it
    left = []
    for clip in order:
        size = int(sizes[clip])
        while cheapest and cheapest[0][0] != costs[cheapest[0][1]]:
            heapq.heappop(cheapest)
        pack = cheapest[0][1] if cheapest else NOWHERE
        if pack != NOWHERE and free[pack] < size:
            pack = int(np.where(free >= size, costs, np.iinfo(np.int64).max).argmin())
        if pack == NOWHERE or free[pack] < size:
            left.append(clip)
            continue
        pack_of[clip] = pack
        free[pack] -= size
        costs[pack] += size * (attention_length + size)
        heapq.heappush(cheapest, (int(costs[pack]), pack))
    for clip in left:
        pack = _make_room(int(sizes[clip]), sizes, pack_of, free)
        if pack == len(free):
            free = np.append(free, budget)
        pack_of[clip] = pack
        free[pack] -= sizes[clip]
    members: list[list[int]] = [[] for _ in free]
    for clip in order:
        members[pack_of[clip]].append(clip)
    return members


def _make_room(size: int, sizes: Ints, pack_of: Ints, free: Ints) -> int:
    """Return a pack with room for `size` tokens, having moved a clip or exchanged two if need be; else `len(free)`."""
    roomy = np.argsort(-free, kind="stable")[:ROOMY]
    if len(free) and free[roomy[0]] >= size:
        return int(roomy[0])
    clips = np.flatnonzero(np.isin(pack_of, roomy))
    missing = size - free[pack_of[clips]]  # in the pack of each clip
    for other in roomy:
        for back in (NOWHERE, *clips[pack_of[clips] == other]):  # what would come in exchange
            gain = sizes[clips] - (0 if back == NOWHERE else sizes[back])
            (found,) = np.nonzero((gain >= missing) & (gain <= free[other]) & (pack_of[clips] != other))
            if len(found):
                clip = clips[found[0]]
                pack = int(pack_of[clip])
                pack_of[clip] = other
                if back != NOWHERE:
                    pack_of[back] = pack
                free[pack] += gain[found[0]]
                free[other] -= gain[found[0]]
                return pack
    return len(free)


def deal(packs: Sequence[Pack], receivers: int) -> list[list[Pack]]:
    """Deal a step's packs to receivers of nearly the same cost in all; there may be some that get none."""
    hands: list[list[Pack]] = [[] for _ in range(receivers)]
    costs = [(0.0, receiver) for receiver in range(receivers)]
    for pack in sorted(packs, key=lambda pack: (-pack.cost, pack.places)):
        cost, receiver = costs[0]
        hands[receiver].append(pack)
        heapq.heapreplace(costs, (cost + pack.cost, receiver))
    return hands


def check_lengths(lengths: npt.ArrayLike, budget: int, name: Callable[[int], str]) -> None:
    """Refuse clips that fit in no pack.

    Raises:
        KinoraError: if one is longer than `budget` tokens.
    """
    long = np.asarray(lengths)
    if len(long) and long.max() > budget:
        worst, count = int(long.argmax()), int((long > budget).sum())
        raise KinoraError(
            f"clip {name(worst)} has {long[worst]} tokens, more than a pack holds ({count} such "
            f"{'clip' if count == 1 else 'clips'}); set tokens_per_pack to {long[worst]} or more, "
            "or ingest shorter or smaller clips."
        )
