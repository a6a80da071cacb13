"""Tasks beside Transformers' pipelines, live: `make parity`."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
import transformers
from golden import make_tasks
from golden.make_bert import BERT, make_bert
from golden.make_roberta import ROBERTA

from keras_tx.tasks import FillMaskTask, ZeroShotClassificationTask

LENGTH = 23
HYPOTHESES = ("This example is food.", "It is about music!", "This example is sport.", "This example is city.")


def bert(directory: Path):
    return make_tasks.tokenizer_of(LENGTH), {**BERT, "max_position_embeddings": LENGTH}


def roberta(directory: Path):
    peer = tokenizers.ByteLevelBPETokenizer()
    texts = [*make_tasks.TEXTS, *HYPOTHESES, *(text for text, _ in make_tasks.MASKED)]
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    peer.train_from_iterator(texts * 3, vocab_size=331, special_tokens=special, show_progress=False)
    directory.mkdir(exist_ok=True)
    peer.save_model(str(directory))
    tokenizer = transformers.RobertaTokenizer.from_pretrained(directory, model_max_length=LENGTH)
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": 1, "max_position_embeddings": LENGTH + 2}
    return tokenizer, {**ROBERTA, **sizes}


@pytest.fixture(params=[("Bert", bert), ("Roberta", roberta)], ids=lambda param: param[0])
def made(request, tmp_path):
    """The pipelines, and the directories of their models."""
    name, make = request.param
    tokenizer, sizes = make(tmp_path)
    masked = make_bert(f"{name}ForMaskedLM", sizes, 1)
    sequence = make_bert(f"{name}ForSequenceClassification", {**sizes, "num_labels": len(make_tasks.NAMES)}, 2)
    made = make_tasks.pipelines(tokenizer, masked, sequence)
    directories = []
    for part, pipeline in zip(("masked", "sequence"), made, strict=True):
        directories.append(tmp_path / part)
        pipeline.model.save_pretrained(directories[-1])
        tokenizer.save_pretrained(directories[-1])
    return *made, *directories


@pytest.mark.filterwarnings("ignore:the target")
def test_fill_mask(made):
    fill, _, directory, _ = made
    task = FillMaskTask.from_pretrained(directory)
    tokens = len(fill.tokenizer)
    for text, options in make_tasks.MASKED:
        options = {**options, "top_k": min(options.get("top_k", 5), tokens)}
        wanted = make_tasks.filled(fill, text, options)
        options.pop("tokenizer_kwargs", None)
        [found] = task.predict([text.replace("{}", fill.tokenizer.mask_token)], **options)
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            assert [(x.token, x.token_id, x.sequence) for x in ours] == [
                (x["token_str"], x["token"], x["sequence"]) for x in theirs
            ]
            assert [x.score for x in ours] == pytest.approx([x["score"] for x in theirs], abs=1e-5)


def test_zero_shot(made):
    _, classify, _, directory = made
    task = ZeroShotClassificationTask.from_pretrained(directory)
    for labels, options in make_tasks.CANDIDATES:
        for ours, theirs in zip(
            task.predict(make_tasks.TEXTS, labels, **options),
            make_tasks.classified(classify, labels, options),
            strict=True,
        ):
            assert [label.label for label in ours] == [label for label, _ in theirs]
            assert [label.score for label in ours] == pytest.approx([score for _, score in theirs], abs=1e-5)
