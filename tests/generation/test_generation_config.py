"""The model's own options: read from `generation_config.json`, counted by `generate`, kept on saving."""

import json
import warnings

import keras
import numpy as np
import pytest
from generation_helpers import eagerly
from helpers import numpy

from keras_tx import GPTModel, T5Model, load_pretrained
from keras_tx.generation import GenerationConfig
from keras_tx.models.gpt.config import TINY
from keras_tx.models.t5.config import TINY as TINY_T5

OWN = {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "max_length": 9, "repetition_penalty": 1.2, "top_k": 7}


@pytest.fixture
def directory(tmp_path):
    """A checkpoint whose `generation_config.json` asks for more than special tokens."""
    GPTModel(TINY, eos_token_id=7).save_pretrained(tmp_path, format="huggingface")
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | OWN | {"use_cache": False, "max_new_tokens": None}))
    return tmp_path


@pytest.mark.parametrize("format", ["huggingface", "keras_tx", "keras"])
def test_options_are_read_and_kept(directory, tmp_path, format):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_pretrained(directory)
    assert model.generation_config == GenerationConfig(**OWN)
    if format == "keras":
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
    else:
        model.save_pretrained(tmp_path / "again", format=format)
        assert json.loads((tmp_path / "again" / "generation_config.json").read_text()).items() >= OWN.items()
        again = load_pretrained(tmp_path / "again")
    assert again.generation_config == model.generation_config and again.config.eos_token_id == 7


def test_options_of_the_model_count_unless_others_are_given(directory):
    model = load_pretrained(directory)
    with eagerly():
        drawn = [numpy(model.generate([[1, 2]], eos_token_id=None, seed=seed)) for seed in (1, 1, 2)]
        given = {**OWN, "eos_token_id": None, "seed": 1}
        model.generation_config = GenerationConfig()
        np.testing.assert_array_equal(drawn[0], model.generate([[1, 2]], **given))
        greedy = model.generate([[1, 2]], max_length=9, eos_token_id=None)
        model.generation_config = GenerationConfig(**OWN)
        off = {"do_sample": False, "repetition_penalty": None, "eos_token_id": None}
        np.testing.assert_array_equal(greedy, model.generate([[1, 2]], **off))
        config = GenerationConfig(do_sample=False, repetition_penalty=1.0, eos_token_id=())
        np.testing.assert_array_equal(greedy, model.generate([[1, 2]], generation_config=config))
    assert drawn[0].shape == (1, 9)
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])


def test_special_tokens_may_be_overridden_where_they_were_read(directory):
    model = load_pretrained(directory, eos_token_id=5)
    resolved = GenerationConfig().resolved(model.config, model.generation_config)
    assert resolved.eos_token_id == 5 and resolved.temperature == 0.7


def test_options_in_config_json_where_there_is_no_other_file(directory):
    (directory / "generation_config.json").unlink()
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_beams": 3, "length_penalty": 2.0}))
    assert load_pretrained(directory).generation_config == GenerationConfig(num_beams=3, length_penalty=2.0)


def test_options_that_generate_lacks_are_named(directory):
    path = directory / "generation_config.json"
    path.write_text(json.dumps({"guidance_scale": 1.5, "num_beam_groups": 1, "diversity_penalty": 0.0}))
    with pytest.warns(UserWarning, match=r"generation_config.json asks for guidance_scale=1.5, which `generate`"):
        load_pretrained(directory)
    path.write_text(json.dumps({"temperature": -1.0}))
    with pytest.raises(ValueError, match=r"generation_config.json: `temperature` must be at least 0; got -1.0"):
        load_pretrained(directory)


def test_of_an_encoder_decoder(tmp_path):
    T5Model(TINY_T5).save_pretrained(tmp_path, format="huggingface")
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_new_tokens": 3, "forced_bos_token_id": 11}))
    model = load_pretrained(tmp_path)
    with eagerly():
        found = numpy(model.generate({"input_ids": [[5, 6]]}, eos_token_id=None))
    assert found.shape == (1, 4) and found[0, 1] == 11
    model.save_pretrained(tmp_path / "again")
    assert load_pretrained(tmp_path / "again").generation_config == model.generation_config


def test_an_unknown_option_says_what_there_is():
    with pytest.raises(TypeError, match=r"no option `num_beam`: did you mean `num_beams`.* stop_strings"):
        GPTModel(TINY).generate([[1]], num_beam=2)


def test_a_temperature_of_0_is_for_no_draws():
    model = GPTModel(TINY)
    with eagerly():
        greedy = model.generate([[1, 2]], max_new_tokens=3)
        cold = model.generate([[1, 2]], max_new_tokens=3, temperature=0.0, do_sample=False)
    np.testing.assert_array_equal(cold, greedy)
    with pytest.raises(ValueError, match="`temperature` must be above 0 with `do_sample`"):
        model.generate([[1, 2]], max_new_tokens=3, temperature=0.0, do_sample=True)
