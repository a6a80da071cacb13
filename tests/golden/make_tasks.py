"""Makes tasks/expected.json: what Transformers' pipelines say of texts, with golden/bert's models and tasks/vocab.txt.

    PYTHONPATH=tests python tests/golden/make_tasks.py [DIRECTORY]

needs torch and Transformers 5.23.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import transformers

GOLDEN = Path(__file__).parent
NAMES = ("contradiction", "neutral", "Entailment", "other", "further")
"""Of golden/bert/sequence's five labels."""

TRUNCATED = {"tokenizer_kwargs": {"truncation": True}}
MASKED = [
    ("the {} is good.", {}),
    ("Anna {} Bob in {}", {"top_k": 3}),
    ("{}{} the film", {"top_k": 2}),
    ("the baker {} in oslo", {"top_k": 61}),
    ("a {} film", {"targets": ["rome", "paris", "bob"], "top_k": 2}),
    ("a {} film", {"targets": ["playing", "bad", "xx"]}),
    ("a {} film", {"targets": "city"}),
    ("the {} sings and plays in the long, long, long, long, long, long, long, long, long, long film", TRUNCATED),
]
"""Texts, the mask token in the places of "{}", and options of the fill-mask pipeline."""
TEXTS = ["Anna sings.", "the old baker of Oslo ate good food, good food, good food, good food, good food and food", "a"]
CANDIDATES = [
    (["music", "food", "sport"], {}),
    ("music, food", {"hypothesis_template": "It is about {}!"}),
    (["music", "food", "sport"], {"multi_label": True}),
    (["city"], {}),
]
"""Labels, and options of the zero-shot pipeline."""


def filled(pipeline, text: str, options: dict) -> list[list[dict]]:
    """For each mask of a text, what the pipeline finds."""
    found = pipeline(text.replace("{}", pipeline.tokenizer.mask_token), **options)
    return [found] if isinstance(found[0], dict) else found


def classified(pipeline, labels, options: dict) -> list[list[list]]:
    """Of each of the texts, the labels with their scores."""
    found = pipeline(TEXTS, candidate_labels=labels, **options)
    return [[list(pair) for pair in zip(text["labels"], text["scores"], strict=True)] for text in found]


def tokenizer_of(length: int) -> transformers.PreTrainedTokenizerBase:
    return transformers.BertTokenizer.from_pretrained(GOLDEN / "tasks", model_max_length=length)


def pipelines(tokenizer, masked, sequence) -> tuple:
    """The fill-mask and the zero-shot pipeline."""
    sequence.config.id2label = dict(enumerate(NAMES))
    sequence.config.label2id = {name: i for i, name in enumerate(NAMES)}
    return tuple(
        transformers.pipeline(task, model=model.eval(), tokenizer=tokenizer)
        for task, model in (("fill-mask", masked), ("zero-shot-classification", sequence))
    )


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN / "tasks"
    masked = transformers.BertForMaskedLM.from_pretrained(GOLDEN / "bert" / "masked")
    sequence = transformers.BertForSequenceClassification.from_pretrained(GOLDEN / "bert" / "sequence")
    fill, classify = pipelines(tokenizer_of(13), masked, sequence)
    expected = {
        "fill_mask": [[text, options, filled(fill, text, options)] for text, options in MASKED],
        "zero_shot": [[labels, options, classified(classify, labels, options)] for labels, options in CANDIDATES],
        "texts": TEXTS,
        "names": NAMES,
    }
    (directory / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")
