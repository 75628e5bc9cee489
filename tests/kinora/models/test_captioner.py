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


VOCABULARY = build_vocabulary(map(split_sentence, SENTENCES), SPECIAL)


@pytest.fixture(params=[(0, 0), (3, 0), (3, 5)], ids=["points", "points and areas", "points, changes and areas"])
def model(request):
    torch.manual_seed(0)
    grid, changes = request.param
    config = CaptionerConfig(vocabulary=VOCABULARY, channels=8, keypoints=16, changes=changes, grid=grid, width=32)
    model = Captioner(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("gate"):
            torch.nn.init.ones_(parameter)  # closed at first: nothing of the areas would be seen
    return model


def test_sentences_come_back_from_their_words(model):
    for sentence in SENTENCES:
        assert join_words(split_sentence(sentence)) == sentence
    numbers = model.tokenize([SENTENCES[0], "A blue circle."])
    assert numbers[0, 0] == numbers[1, 0] == START
    assert numbers[0, -1] == END
    assert UNKNOWN in numbers[1]
    assert numbers[1, -1] == PAD
    assert model.tokenize(["a " * 500]).shape[1] == model.config.max_words
    long = model.tokenize(["A dog. " * 3 + "a " * 500])[0]
    assert long.tolist() == model.tokenize(["A dog. " * 3])[0].tolist(), "what is too long ends with a sentence"
    long = model.tokenize(["A dog. " * 3 + "a " * 500])[0]
    assert long.tolist() == model.tokenize(["A dog. " * 3])[0].tolist(), "what is too long ends with a sentence"


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
    assert len(split_sentence(written[0].text)) < model.config.max_words


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
    for i, sentence in enumerate(together):
        alone = model.generate(frames[i : i + 1], seconds[i : i + 1])[0]
        assert alone.text == sentence.text
        assert alone.log_probabilities == pytest.approx(sentence.log_probabilities, abs=1e-4)


def test_a_sentence_knows_how_likely_its_words_are(model):
    frames, seconds = torch.randint(0, 256, (1, 6, 32, 32, 3), dtype=torch.uint8), torch.ones(1)
    sentence = model.generate(frames, seconds)[0]
    words = model.tokenize([sentence.text])[:, : model.config.max_words - 1]
    expected = model(frames, seconds, words[:, :-1]).log_softmax(-1).gather(2, words[:, 1:, None]).flatten()
    said = torch.tensor(sentence.log_probabilities)[: len(expected)]
    if words[0, -1] == END and len(said) == len(expected):
        assert torch.allclose(said, expected, atol=1e-4)
    assert torch.allclose(said[:-1], expected[: len(said) - 1], atol=1e-4)


def test_a_word_that_it_does_not_know_is_not_said_and_makes_it_unsure(model):
    torch.nn.init.zeros_(model.word_embedding.weight)
    model.word_embedding.weight.data[UNKNOWN] = 100 * model.norm(torch.randn(32))
    model.norm.weight.data.zero_()
    model.norm.bias.data = model.word_embedding.weight.data[UNKNOWN] / 100
    sentence = model.generate(torch.zeros((1, 6, 32, 32, 3), dtype=torch.uint8), torch.ones(1))[0]
    assert "unknown" not in sentence.text.lower()
    assert max(sentence.log_probabilities) < -5


def test_what_pictures_look_like_to_it_depends_on_nothing_else(model):
    frames = torch.randint(0, 256, (3, 6, 32, 40, 3), dtype=torch.uint8)
    features = model.statistics(frames)
    assert features.shape == (3, 2 * (8 + 16 + 16))
    assert torch.allclose(model.statistics(frames[1:2])[0], features[1], atol=1e-5)
    assert torch.allclose(model.statistics(frames.flip(1)), features, atol=1e-5), "the order of frames does not matter"
    image = frames[:, :1]
    assert torch.allclose(model.statistics(image.expand(-1, 6, -1, -1, -1)), model.statistics(image), atol=1e-5)


def test_saved_and_loaded_it_is_the_same(model, tmp_path):
    model.save(tmp_path / "captioner")
    again = Captioner.load(tmp_path / "captioner")
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    with pytest.raises(KinoraError, match="no captioner"):
        Captioner.load(tmp_path / "nothing")


def test_a_change_is_from_each_frame_of_a_clip_to_the_next():
    torch.manual_seed(0)
    model = Captioner(CaptionerConfig(vocabulary=VOCABULARY, frames=4, channels=8, changes=5, width=32))
    now, following = model.change.weight.data.chunk(2, dim=1)
    now.copy_(-following)  # the difference of the two
    model.change.bias.data.zero_()
    first, second = torch.randn(2, 16, 8, 8)
    clips = torch.stack([first, first, second, second, *[second] * 4])  # one that changes once, and one that does not
    with torch.no_grad():
        (changes,) = model._changes(clips, 2)
    assert changes.shape == (8, 5, 8, 8)
    assert (changes.abs() > 1e-5).flatten(1).any(1).tolist() == [False, True, False, False, *[False] * 4]
