"""Prompt agreement by a model that is asked: for prompts in anyone's words, which the detectors cannot read.

The prompt is split once into questions that yes or no answers, by the same model (Hu et al., "TIFA", 2023), and each is
asked of frames spread over the clip. Questions that lose a word of the prompt are not used: it is then one question.
"""

import re
from functools import lru_cache

import numpy as np

from evaluation.findings import FAILS_FROM, Failure, Finding, unmeasurable
from evaluation.judges.judge import SIDE, Judge
from kinora.captioning.accuracy import content_words
from kinora.captioning.writers import some_frames

TYPE = "prompt_mismatch"
MOST, LONGEST = 8, 200  # questions, and characters of one
WHOLE = 'Does this video show: "{prompt}"?'
SPLITTING = (
    "Somebody asked for a video with the words below. Write questions about the video that together ask for all of "
    "it: what is seen, how many, of which colours, where, and how it moves. Each asks for one thing, can be answered "
    "with yes or no, and the answer is yes if the video is right. Use the words of the prompt. "
    f"Write one question a line, at most {MOST}, and nothing else.\n\nPrompt: "
)
MARK = re.compile(r"^\s*(?:[-*•]|\(?\d+[.):]?)?\s*")  # of a list, before a question


def judged(frames: np.ndarray, prompt: str, judge: Judge, seen: int) -> Finding:
    """Ask whether a clip `uint8 [T, H, W, 3]` shows its prompt, of which the judge sees some frames.

    The score is 1 minus the mean probability of "yes", not calibrated; `parts` gives that of every question. A question
    to which "no" is likelier is a failure.
    """
    questions = questions_of(prompt, judge)
    chances = judge.yes(questions, some_frames(frames, seen, SIDE))
    silent = [question for question, chance in zip(questions, chances, strict=True) if chance is None]
    if silent:
        return unmeasurable(TYPE, f'{judge.name} answers neither yes nor no to "{silent[0]}"', due=False)
    parts = {question: chance for question, chance in zip(questions, chances, strict=True) if chance is not None}
    failures = [
        Failure(TYPE, 0, len(frames) - 1, 1 - chance, f'"{question}" {judge.name} says no, with {1 - chance:.0%}.')
        for question, chance in parts.items()
        if 1 - chance >= FAILS_FROM
    ]
    return Finding(TYPE, 1 - float(np.mean(list(parts.values()))), tuple(failures), parts=parts)


@lru_cache(1024)
def questions_of(prompt: str, judge: Judge) -> tuple[str, ...]:
    """Return the questions that a prompt is held against."""
    lines = (MARK.sub("", line).strip() for line in judge.say(SPLITTING + prompt).splitlines())
    found = tuple(dict.fromkeys(line for line in lines if line.endswith("?") and len(line) <= LONGEST))
    if 0 < len(found) <= MOST and content_words(prompt) <= content_words(" ".join(found)):
        return found
    return (WHOLE.format(prompt=prompt),)
