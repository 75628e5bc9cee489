"""The captioner network: any size and length in, sentences out, and itself again from its folder."""

import numpy as np
import pytest
import torch

from kinora.errors import KinoraError
from kinora.models.captioner import (
    END,
    PAD,
    SPECIAL,
    START,
    UNKNOWN,
    Captioner,
    CaptionerConfig,
    join_words,
    sample_frames,
    split_sentence,
)
from kinora.models.vocabulary import build_vocabulary

SENTENCES = ["A red circle falls.", "It's a dog, on grass."]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Captioner(
        CaptionerConfig(
            vocabulary=build_vocabulary(map(split_sentence, SENTENCES), SPECIAL), channels=8, keypoints=16, width=32
        )
    ).eval()


def test_sentences_come_back_from_their_words(model):
    for sentence in SENTENCES:
        assert join_words(split_sentence(sentence)) == sentence
    numbers = model.tokenize([SENTENCES[0], "A blue circle."])
    assert numbers[0, 0] == numbers[1, 0] == START
    assert numbers[0, -1] == END
    assert UNKNOWN in numbers[1]
    assert numbers[1, -1] == PAD
    assert model.tokenize(["a " * 500]).shape[1] == model.config.max_words


@pytest.mark.parametrize(
    ("frames", "height", "width"), [(1, 24, 40), (2, 40, 24), (17, 32, 32), (90, 180, 321), (5, 7, 3)]
)
def test_clips_of_any_size_and_length(model, frames, height, width):
    sample = sample_frames(
        np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8), 8.0, model.config
    )
    assert len(sample.frames) == (1 if frames == 1 else model.config.frames)
    assert min(sample.frames.shape[1:3]) <= model.config.side
    assert sample.seconds == pytest.approx((frames - 1) / 8.0)
    written = model.generate(torch.from_numpy(sample.frames)[None], torch.tensor([sample.seconds]))
    assert len(written) == 1
    assert len(split_sentence(written[0])) < model.config.max_words


def test_each_word_depends_only_on_the_words_before(model):
    frames, seconds = torch.randint(0, 256, (2, 6, 32, 32, 3), dtype=torch.uint8), torch.tensor([1.0, 2.0])
    words = model.tokenize([SENTENCES[0]] * 2)
    changed = words.clone()
    changed[:, 3] = UNKNOWN
    one, other = model(frames, seconds, words), model(frames, seconds, changed)
    assert torch.allclose(one[:, :3], other[:, :3], atol=1e-5)
    assert not torch.allclose(one[:, 3:], other[:, 3:], atol=1e-5)


def test_what_is_written_does_not_depend_on_the_other_clips(model):
    frames, seconds = torch.randint(0, 256, (4, 6, 32, 32, 3), dtype=torch.uint8), torch.arange(4.0)
    together = model.generate(frames, seconds)
    assert together == [model.generate(frames[i : i + 1], seconds[i : i + 1])[0] for i in range(4)]


def test_saved_and_loaded_it_is_the_same(model, tmp_path):
    model.save(tmp_path / "captioner")
    again = Captioner.load(tmp_path / "captioner")
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    with pytest.raises(KinoraError, match="no captioner"):
        Captioner.load(tmp_path / "nothing")
