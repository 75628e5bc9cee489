"""Frozen encoders give what transformers gives, are loaded when they are needed, and only the same ones again."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
import transformers

from kinora.errors import KinoraError, UsageError
from kinora.models.hf_text_encoder import CLASSES, FrozenTextEncoder, HFTextEncoder, pad_prepared
from kinora.models.precision import compute_dtype
from kinora.models.text_encoder import TextEncoderConfig

KINDS = ("t5", "umt5", "clip")
SENTENCES = ["A red circle moves slowly.", "", "a blue square"]


def config_of(folder, **options):
    frozen = FrozenTextEncoder(f"hf:{folder}", 12)
    return TextEncoderConfig(
        kind="hf", pretrained=f"hf:{folder}", width=frozen.width, digest=frozen.digest, max_words=12, **options
    )


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_vectors_are_those_of_transformers(hf_text_encoder, kind):
    folder = hf_text_encoder(kind)
    prepared = FrozenTextEncoder(f"hf:{folder}", 12).encode(SENTENCES)
    network = getattr(transformers, CLASSES[kind]).from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert prepared[1].shape == (0, 16)
    for place in (0, 2):
        output = network(**tokenizer(SENTENCES[place], return_tensors="pt", return_token_type_ids=False))
        words = output.last_hidden_state[0]
        pooled = output.pooler_output[0] if kind == "clip" else words.mean(0)
        exact = torch.cat([pooled[None], words])
        tolerance = 1e-5 if compute_dtype() is torch.float32 else 0.05  # bfloat16 has three decimal digits
        torch.testing.assert_close(prepared[place], exact, rtol=tolerance, atol=tolerance)


def test_the_network_is_neither_saved_nor_trained_nor_loaded_for_prepared_sentences(hf_text_encoder, tmp_path):
    source = tmp_path / "t5"
    shutil.copytree(hf_text_encoder("t5"), source)
    config = config_of(source)
    prepared = pad_prepared(FrozenTextEncoder(config.pretrained, 12).encode(SENTENCES))
    shutil.rmtree(source)
    model = HFTextEncoder(config)
    assert set(model.state_dict()) == {"norm.weight", "norm.bias", "empty"}
    text = model(prepared)
    assert text.words.shape == (3, prepared.shape[1] - 1, 16)
    assert text.mask.sum(1).tolist() == [7, 1, 4]  # six words and the end; the empty sentence; three and the end
    text.pooled.sum().backward()
    assert model.empty.grad.any()
    with pytest.raises(KinoraError, match="there is no folder"):
        model.load_pretrained()


def test_another_encoder_than_that_of_training_is_refused(hf_text_encoder):
    config = config_of(hf_text_encoder("t5"))
    other = replace(config, pretrained=f"hf:{hf_text_encoder('umt5')}")
    with pytest.raises(KinoraError, match="is not the one that this model was trained with"):
        HFTextEncoder(other).load_pretrained()


def test_clip_reads_no_more_than_it_has_positions_for(hf_text_encoder):
    source = f"hf:{hf_text_encoder('clip')}"
    assert FrozenTextEncoder(source, 12).encode(["a red circle " * 20])[0].shape == (13, 16)
    with pytest.raises(UsageError, match=r"reads 12 tokens; set text\.max_words=12"):
        FrozenTextEncoder(source, 13)


def test_a_pipeline_s_folder_is_read_at_its_text_encoder(hf_text_encoder, tmp_path):
    folder = hf_text_encoder("umt5")
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(folder, tmp_path / part)
    (tmp_path / "model_index.json").write_text("{}")
    assert FrozenTextEncoder(f"hf:{tmp_path}", 12).digest == FrozenTextEncoder(f"hf:{folder}", 12).digest


def test_what_cannot_be_used_is_refused_in_a_sentence(hf_text_encoder, tmp_path):
    with pytest.raises(KinoraError, match="cannot be read"):
        FrozenTextEncoder(f"hf:{tmp_path}", 12)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(KinoraError, match=r"'bert', which is no text encoder; there are t5"):
        FrozenTextEncoder(f"hf:{tmp_path}", 12)


def test_code_that_comes_with_a_model_is_not_run(tmp_path):
    config = {"model_type": "strange", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("open('was_run', 'w')\nclass Config: pass\n")
    with pytest.raises(KinoraError, match="cannot be read"):
        FrozenTextEncoder(f"hf:{tmp_path}", 12)


def test_pickled_weights_are_refused(hf_text_encoder, tmp_path):
    shutil.copytree(hf_text_encoder("t5"), tmp_path / "t5")
    (tmp_path / "t5" / "model.safetensors").unlink()
    network = transformers.T5EncoderModel.from_pretrained(hf_text_encoder("t5"))
    torch.save(network.state_dict(), tmp_path / "t5" / "pytorch_model.bin")
    with pytest.raises(KinoraError, match="cannot be read"):
        FrozenTextEncoder(f"hf:{tmp_path / 't5'}", 12)
