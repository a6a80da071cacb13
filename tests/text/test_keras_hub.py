"""The tokenizers of KerasHub's presets give KerasHub's ids."""

import json
import shutil

import keras_hub
import pytest
import sentencepiece
from hub_helpers import put_into_cache

import keras_tx

TEXTS = ["The quick brown fox!", "thé  Foxes' bröwn 狐 quickfox\tbrown,the", "", "unknown £ words: 12 ½"]


def bert(tmp_path, **options):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "thé", "The", "quick", "brown", "bröwn", "fox"]
    return keras_hub.tokenizers.BertTokenizer([*words, "##fox", "##es", "!", ",", "'", "狐", "1", "##2"], **options)


def gpt2(tmp_path):
    marks = [*(chr(i) for i in range(33, 127)), *map(chr, range(0xA1, 0x100)), *map(chr, range(0x100, 0x144))]
    merges = ["q u", "qu i", "Ġ q", "f o", "fo x"]
    tokens = [*marks, *(merge.replace(" ", "") for merge in merges), "<|endoftext|>"]
    return keras_hub.tokenizers.GPT2Tokenizer({token: i for i, token in enumerate(tokens)}, merges)


def t5(tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS * 5))
    sentencepiece.SentencePieceTrainer.train(
        input=str(texts),
        model_prefix=str(tmp_path / "model"),
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        pad_piece="<pad>",
        eos_piece="</s>",
    )
    return keras_hub.tokenizers.T5Tokenizer(str(tmp_path / "model.model"))


@pytest.mark.parametrize(
    "make",
    [
        bert,
        lambda path: bert(path, lowercase=True),
        lambda path: bert(path, lowercase=True, strip_accents=True),
        gpt2,
        t5,
    ],
)
def test_equal_ids(tmp_path, make):
    theirs = make(tmp_path)
    theirs.save_to_preset(tmp_path / "preset")
    ours = keras_tx.load_tokenizer(tmp_path / "preset")
    for text in TEXTS:
        assert ours.encode(text, add_special_tokens=False) == [int(i) for i in theirs(text)], text
    assert ours.vocab_size == theirs.vocabulary_size()


def test_what_the_preprocessor_adds(tmp_path):
    theirs = bert(tmp_path, lowercase=True)
    theirs.save_to_preset(tmp_path)
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(theirs, sequence_length=12)
    preprocessor.build(None)
    packed = preprocessor.call((["the quick fox"], ["brown fox!"]))
    packed = {name: [int(i) for i in rows[0]] for name, rows in packed.items()}
    count = sum(packed["padding_mask"])
    ours = keras_tx.load_tokenizer(tmp_path)("the quick fox", "brown fox!")
    assert list(ours["input_ids"][0]) == packed["token_ids"][:count]
    assert list(ours["token_type_ids"][0]) == packed["segment_ids"][:count]


def test_what_ours_does_not_have(tmp_path):
    bert(tmp_path).save_to_preset(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["config"]["split"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="split=False of the tokenizer; only True"):
        keras_tx.load_tokenizer(tmp_path)
    content["registered_name"] = "keras_hub>GemmaTokenizer"
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="KerasHub's GemmaTokenizer; known are BertTokenizer"):
        keras_tx.load_tokenizer(tmp_path)


def test_no_vocabulary(tmp_path):
    bert(tmp_path).save_to_preset(tmp_path)
    (tmp_path / "assets/tokenizer/vocabulary.txt").unlink()
    with pytest.raises(ValueError, match=r"lacks vocabulary\.txt"):
        keras_tx.load_tokenizer(tmp_path)


@pytest.mark.parametrize("source", ["hf://someone/tiny", "someone/tiny"])
def test_presets_on_the_hub(tmp_path, source):
    bert(tmp_path).save_to_preset(tmp_path / "preset")
    put_into_cache(tmp_path / "cache", "someone/tiny", tmp_path / "preset")
    tokenizer = keras_tx.load_tokenizer(source, cache_dir=tmp_path / "cache", local_files_only=True)
    assert tokenizer.vocab == keras_tx.load_tokenizer(tmp_path / "preset").vocab


@pytest.mark.parametrize("handle", ["kaggle://keras/gpt2/keras/gpt2_base_en/1", "gpt2_base_en"])
def test_presets_by_their_handles(tmp_path, monkeypatch, handle):
    from keras_hub.src.utils import preset_utils

    gpt2(tmp_path).save_to_preset(tmp_path / "preset")
    (tmp_path / "got").mkdir()
    asked = []

    def get_file(preset, name):
        asked.append(name)
        if not (tmp_path / "preset" / name).is_file():
            raise FileNotFoundError(name)
        (tmp_path / "got" / name).parent.mkdir(parents=True, exist_ok=True)
        return shutil.copy(tmp_path / "preset" / name, tmp_path / "got" / name)

    monkeypatch.setattr(preset_utils, "get_file", get_file)
    tokenizer = keras_tx.load_tokenizer(handle, local_files_only=True)
    assert tokenizer.vocab == keras_tx.load_tokenizer(tmp_path / "preset").vocab
    assert {"assets/tokenizer/vocabulary.json", "assets/tokenizer/merges.txt"} < {*asked}
