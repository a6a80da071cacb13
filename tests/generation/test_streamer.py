"""Text as it is generated: whole characters, and together the text of all tokens."""

from pathlib import Path

import numpy as np
import pytest
from export_helpers import sentencepiece
from generation_helpers import eagerly

from keras_tx import BPETokenizer, GPTModel, TextStreamer

TOKENIZER = BPETokenizer.from_pretrained(Path(__file__).parents[1] / "golden" / "generation_rules")
HALVES = [26, 27]
"""The two tokens of "é"."""


class Recorded(TextStreamer):
    """Keeps what it shows."""

    def on_finalized_text(self, text, stream_end=False):
        self.__dict__.setdefault("pieces", []).append((text, stream_end))


def test_no_half_character():
    streamer = Recorded(TOKENIZER)
    shown = [streamer.put(np.array(ids)) for ids in ([[18, 19, 14]], [HALVES[0]], [HALVES[1]], [0], [HALVES[0]])]
    assert shown == ["sto", "", "é", "a", ""]
    assert streamer.end() == "\ufffd"  # the text ends with a half, as `decode` shows it
    assert streamer.pieces == [("sto", False), ("é", False), ("a", False), ("\ufffd", True)]
    assert streamer.put(np.array([0])) == "a"  # another text


def test_the_prompt_may_be_left_out():
    streamer = Recorded(TOKENIZER, skip_prompt=True, skip_special_tokens=True)
    assert [
        streamer.put(np.array([[18, HALVES[0]]])),
        streamer.put([HALVES[1]]),
        streamer.put([40]),
        streamer.end(),
    ] == [
        "",
        "é",
        "",
        "",
    ]
    with pytest.raises(ValueError, match="shows one row; got 2"):
        streamer.put(np.zeros((2, 3), "int32"))


def test_blanks_between_words_stay():
    """A piece's blank depends on the piece before it."""
    tokenizer = sentencepiece()
    text = "the cat sat"
    ids = tokenizer.encode(text, add_special_tokens=False)
    streamer = Recorded(tokenizer)
    shown = "".join([*(streamer.put([i]) for i in ids), streamer.end()])
    assert shown == tokenizer.decode(ids)


def test_generate_shows_what_it_returns():
    model = GPTModel(vocab_size=43, max_positions=16, num_layers=1, num_heads=2, d_model=8)  # two are no tokens
    streamer = Recorded(TOKENIZER)
    with eagerly():
        ids = np.asarray(model.generate([[18, 19]], max_new_tokens=5, do_sample=True, seed=1, streamer=streamer))[0]
    assert "".join(text for text, _ in streamer.pieces) == TOKENIZER.decode([i for i in ids.tolist() if i < 41])
    with pytest.raises(ValueError, match="beams cannot be streamed"):
        model.generate([[18]], max_new_tokens=2, num_beams=2, streamer=streamer)
