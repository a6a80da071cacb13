"""Makes sentence_transformers/: small random sentence encoders, and their embeddings by sentence-transformers 6.

    PYTHONPATH=.:tests python tests/golden/make_sentence_transformers.py [DIRECTORY]

A model's directory holds what `save` writes, and `expected.npz`: texts, and the embeddings of them with each prompt, by
its name. Needs sentence-transformers, torch and transformers.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from golden.make_bert import BERT, make_bert
from sentence_transformers import SentenceTransformer, models

from keras_tx.text import BPETokenizer, WordPieceTokenizer, default_text

TEXTS = [
    "It was a bright cold day.",
    "the clocks",
    "A truth universally acknowledged, that a single man must be in want of a wife; however little known he is.",
    "",
    "No.",
]
PROMPTS = {"query": "what of: ", "none": ""}
WIDTH = BERT["hidden_size"]


def steps(*widths: int, activations=(), **options) -> list[torch.nn.Module]:
    """Dense modules from width to width."""
    found = zip(widths, widths[1:], activations, strict=False)
    return [models.Dense(a, b, activation_function=activation, **options) for a, b, activation in found]


CASES = {
    "mean": ("BertModel", ("mean",), [models.Normalize()], {}),
    "all": ("BertModel", models.Pooling.POOLING_MODES, [], {}),
    "dense": (
        "BertModel",
        ("cls",),
        [
            *steps(WIDTH, 7, 7, 4, activations=(torch.nn.Tanh(), torch.nn.GELU(), torch.nn.Identity()), bias=True),
            models.Normalize(),
        ],
        {},
    ),
    "residual": ("BertModel", ("max",), steps(WIDTH, 5, activations=(torch.nn.ReLU(),), use_residual=True), {}),
    "prompt": ("BertModel", ("mean", "weightedmean", "lasttoken"), [], {"include_prompt": False}),
    "roberta": ("RobertaModel", ("mean", "cls"), [models.Normalize()], {"include_prompt": False}),
    "mpnet": ("MPNetModel", ("mean_sqrt_len_tokens",), [], {}),
}


def make(case: str, directory: Path, seed: int) -> None:
    name, modes, further, options = CASES[case]
    kind = BPETokenizer if name == "RobertaModel" else WordPieceTokenizer
    special = {"special_tokens": ("<s>", "<pad>", "</s>", "<unk>", "<mask>")} if kind is BPETokenizer else {}
    tokenizer = kind.train([default_text()[:20_000]], 300, **special)
    tokenizer.save_pretrained(directory)
    if kind is BPETokenizer:
        settings = {"tokenizer_class": "RobertaTokenizer", "model_max_length": 20}
        (directory / "tokenizer_config.json").write_text(json.dumps(settings))
        (directory / "tokenizer.json").unlink()
    fields = {**BERT, "vocab_size": tokenizer.vocab_size, "max_position_embeddings": 25}
    if name == "MPNetModel":
        del fields["type_vocab_size"]
    if name == "RobertaModel":
        fields["pad_token_id"] = 1
    make_bert(name, fields, seed).save_pretrained(directory)
    transformer = models.Transformer(str(directory), max_seq_length=17)
    pooling = models.Pooling(WIDTH, pooling_mode=modes, **options)
    model = SentenceTransformer(modules=[transformer, pooling, *further], prompts=PROMPTS).eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in further:
            for weight in module.parameters():
                weight.normal_(0.0, 0.5)
    shutil.rmtree(directory)
    model.save(str(directory))
    for unneeded in ("README.md",):
        (directory / unneeded).unlink(missing_ok=True)
    expected = {prompt: model.encode(TEXTS, prompt_name=prompt) for prompt in PROMPTS}
    np.savez_compressed(directory / "expected.npz", texts=np.array(TEXTS), **expected)


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("sentence_transformers")
    for number, one in enumerate(CASES):
        (root / one).mkdir(parents=True, exist_ok=True)
        make(one, root / one, number)
