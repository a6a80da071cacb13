"""`keras-tx generate` from a checkpoint."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import numpy, randomize
from program import run

from keras_tx import BERTForMaskedLM, BPETokenizer, GPTModel
from keras_tx.models.bert.config import TINY as BERT_TINY


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint as Transformers has it, of random weights, with a tokenizer of half characters and an end token."""
    directory = tmp_path_factory.mktemp("checkpoint")
    sizes = {"max_positions": 32, "num_layers": 1, "num_heads": 2, "d_model": 8}
    model = GPTModel(vocab_size=43, eos_token_id=40, **sizes)
    randomize(model, np.random.default_rng(11)).save_pretrained(directory, format="huggingface")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(__file__).parents[1] / "golden" / "generation_rules" / name, directory)
    return directory


@pytest.mark.slow
def test_generate_from_a_checkpoint(checkpoint, capfd):
    """Its own options count unless others are given, and characters come whole."""

    def generated(*arguments) -> str:
        capfd.readouterr()
        assert run("generate", checkpoint, "--prompt", "stop", "--length", 20, *arguments) == 0
        return capfd.readouterr().out

    model, tokenizer = GPTModel.from_pretrained(checkpoint), BPETokenizer.from_pretrained(checkpoint)
    (ids,) = numpy(model.generate([tokenizer.encode("stop")], max_new_tokens=20)).tolist()
    assert ids[-1] == 40 and len(ids) < 21  # it ends by itself
    greedy = tokenizer.decode(ids, skip_special_tokens=True)
    assert generated("--temperature", 0) == greedy + "\n"
    drawn = generated("--seed", 1)
    assert generated("--seed", 1) == drawn != generated("--seed", 2)
    path = checkpoint / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_sample": False}))
    assert generated() == greedy + "\n"


def test_generate_from_what_writes_nothing(checkpoint, fails, tmp_path):
    BERTForMaskedLM(BERT_TINY).save_pretrained(tmp_path)
    assert "a BERTForMaskedLM, which does not generate text" in fails("generate", tmp_path)
