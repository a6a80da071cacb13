"""What the examples show works."""

import re
import runpy
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import run_python

from keras_tx.models import load_pretrained
from keras_tx.text import BPETokenizer, default_text, load_tokenizer

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_nanogpt_shakespeare(tmp_path, monkeypatch, capsys):
    (tmp_path / "text.txt").write_text(default_text()[:5000])
    monkeypatch.setattr(sys, "argv", ["nanogpt_shakespeare.py", str(tmp_path / "text.txt"), "--steps", "20"])
    runpy.run_path(str(ROOT / "examples" / "nanogpt_shakespeare.py"), run_name="__main__")
    nats, bits = re.search(r"validation loss (\S+) nats, (\S+) bits a character", capsys.readouterr().out).groups()
    assert 2.5 < float(nats) < 4.5  # better than chance, which is ln of the number of characters
    assert float(bits) == pytest.approx(float(nats) * 1.442695, abs=1e-3)


@pytest.mark.slow
def test_finetune_gpt2(tmp_path, monkeypatch, capsys):
    (tmp_path / "text.txt").write_text(default_text()[:20_000])
    options = ["--text", str(tmp_path / "text.txt"), "--steps", "20", "--output", str(tmp_path / "tuned")]
    monkeypatch.setattr(sys, "argv", ["finetune_gpt2.py", *options])
    runpy.run_path(str(ROOT / "examples" / "finetune_gpt2.py"), run_name="__main__")
    out = capsys.readouterr().out
    before, after = re.search(r"validation loss (\S+) nats a token before, (\S+) after 20 steps", out).groups()
    assert float(before) == pytest.approx(np.log(500), abs=0.1)  # it knows nothing
    assert float(after) < float(before) - 0.5
    assert "a sample:\n\nThe value of" in out
    model, tokenizer = load_pretrained(tmp_path / "tuned"), BPETokenizer.from_pretrained(tmp_path / "tuned")
    ids = np.array([tokenizer.encode(default_text()[18_000:18_100])[:64]])
    assert float(model(ids, labels=ids)["loss"]) < float(before) - 0.5


@pytest.mark.slow
def test_translate_dates(tmp_path):
    """Each model on one of the backends: it ends in scores, a picture and what can be loaded again."""
    kind = "transformer" if keras.backend.backend() == "tensorflow" else "t5"
    options = ["--epochs", "1", "--steps-per-epoch", "3", "--tests", "5", "--d-model", "16", "--layers", "1"]
    example = str(ROOT / "examples" / "translate_dates.py")
    out = run_python(example, "--model", kind, *options, "--output", str(tmp_path))
    assert re.search(r"^5 unseen pairs: bleu \S+, chrf \S+, exact_match 0\.0000; loss \d", out, re.MULTILINE)
    assert (tmp_path / "cross_attention.png").read_bytes().startswith(b"\x89PNG")
    ids = np.array([load_tokenizer(tmp_path).encode("to German: Jul 4, 2016")])
    assert keras.saving.load_model(tmp_path / "model.keras").generate(ids, max_new_tokens=2).shape == (1, 3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="dates have no backend")
def test_dates_to_translate():
    """The English says which date it is to be, and none of those to test with is among those to learn from."""
    train, test, *_ = runpy.run_path(str(ROOT / "examples" / "translate_dates.py"))["dates"]()
    pairs = [*zip(train.sources, train.targets, strict=True), *zip(test.sources, test.targets, strict=True)]
    assert len(dict(pairs)) == len({*pairs})
    assert not {*train.sources} & {*test.sources}


@pytest.mark.slow
def test_summarize(tmp_path):
    """From a checkpoint made on the spot to one that is fine-tuned."""
    example, options = str(ROOT / "examples" / "summarize.py"), ["--tests", "4", "--batch-size", "4"]
    out = run_python(example, "--steps", "3", "--output", str(tmp_path), *options)
    rouge = r"rouge1 (\S+), rouge2 \S+, rougeL \S+ on 4 unseen texts"
    assert len(re.findall(rf"^(?:before|after 3 steps): {rouge}", out, re.MULTILINE)) == 2
    limits = ["--max-length", "128", "--max-target-length", "32"]
    again = run_python(example, "--checkpoint", str(tmp_path / "tuned"), *options, *limits)
    assert re.search(rf"^before: {rouge}", again, re.MULTILINE)[1] == re.search(rf"after.*: {rouge}", out)[1]
