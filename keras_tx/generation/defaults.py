"""The options of `generate` as tables: what stands where one is not given, what each must be, what is not here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DEFAULTS: dict[str, Any] = {
    "min_length": 0,
    "do_sample": False,
    "num_beams": 1,
    "num_return_sequences": 1,
    "length_penalty": 1.0,
    "early_stopping": False,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "num_assistant_tokens": 5,
    "return_dict_in_generate": False,
}
"""The options that neither the user nor the model gives."""
SPECIAL_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
"""The options that a model's config may have."""
LACKING: dict[str, Any] = {
    "constraints": None,
    "diversity_penalty": 0.0,
    "dola_layers": None,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "force_words_ids": None,
    "forced_decoder_ids": None,
    "guidance_scale": 1.0,
    "max_time": None,
    "num_beam_groups": 1,
    "prompt_lookup_num_tokens": None,
    "token_healing": False,
    "top_h": None,
    "watermarking_config": None,
}
"""Transformers' options that change its tokens and are not here, with the values that change nothing."""

Range = tuple[str, str, Callable[[Any], bool]]
RANGES: tuple[Range, ...] = (
    ("min_length", "at least 0", lambda x: x >= 0),
    ("min_new_tokens", "at least 0", lambda x: x >= 0),
    ("num_beams", "at least 1", lambda x: x >= 1),
    ("num_return_sequences", "at least 1", lambda x: x >= 1),
    ("early_stopping", 'True, False or "never"', lambda x: x in (True, False, "never")),
    ("temperature", "at least 0", lambda x: x >= 0),
    ("top_k", "at least 0", lambda x: x >= 0),
    ("top_p", "in [0, 1]", lambda x: 0 <= x <= 1),
    ("min_p", "in [0, 1]", lambda x: 0 <= x <= 1),
    ("typical_p", "in (0, 1]", lambda x: 0 < x <= 1),
    ("epsilon_cutoff", "in [0, 1)", lambda x: 0 <= x < 1),
    ("eta_cutoff", "in [0, 1)", lambda x: 0 <= x < 1),
    ("repetition_penalty", "above 0", lambda x: x > 0),
    ("no_repeat_ngram_size", "at least 0", lambda x: x >= 0),
    ("bad_words_ids", "runs of at least one token", lambda x: all(len(word) for word in x)),
    ("exponential_decay_length_penalty", "a number of tokens and a factor", lambda x: len(x) == 2),
    ("penalty_alpha", "in [0, 1]", lambda x: 0 <= x <= 1),
    ("num_assistant_tokens", "at least 1", lambda x: x >= 1),
)
"""The options with what they must be, in words and as a test."""
RANGES_OF_DRAWS: tuple[Range, ...] = (
    ("temperature", "above 0", lambda x: x > 0),
    ("top_p", "above 0", lambda x: x > 0),
)
"""What they must be besides where tokens are drawn."""
