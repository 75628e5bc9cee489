"""What the demo asks its endpoint for."""

from pipelines.demo import shortened


def test_a_caption_longer_than_the_model_reads_is_cut_at_a_word():
    assert shortened("A red circle falls.", 24) == "A red circle falls."
    assert shortened("one-two three four", 3) == "one-two three"  # the model reads one-two as two words
    assert shortened("one-two three four", 1) == ""
