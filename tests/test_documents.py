"""The Python programs in the README and on the pages of `docs/` run; the links between the pages lead somewhere."""

import re
import runpy
from pathlib import Path

import keras
import pytest
from helpers import run_python
from hub_helpers import put_into_cache

from keras_tx.models import BERTForPreTraining, GPTModel
from keras_tx.text import BPETokenizer, WordPieceTokenizer, default_text

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKING = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "saved_models" / "README.md"]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    """A hub's cache with tiny models of random weights, under the ids that the pages use."""
    directory, sizes = tmp_path_factory.mktemp("hub"), {"num_layers": 2, "num_heads": 2, "d_model": 16}
    wordpiece, bpe = (cls.train([default_text()[:20_000]], 300) for cls in (WordPieceTokenizer, BPETokenizer))
    bert = BERTForPreTraining(vocab_size=wordpiece.vocab_size, d_ff=32, **sizes)
    gpt = GPTModel(vocab_size=bpe.vocab_size, **sizes)
    for hub_id, parts in {
        "google-bert/bert-base-uncased": (bert, wordpiece),
        "openai-community/gpt2": (gpt, bpe),
    }.items():
        made = directory / "made" / hub_id
        parts[0].save_pretrained(made, format="huggingface")
        parts[1].save_pretrained(made)
        put_into_cache(directory / "cache", hub_id, made)
    return directory / "cache"


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the pages show the default backend")
@pytest.mark.parametrize("block", BLOCKS)
def test_a_program_runs(block, hub, tmp_path, monkeypatch):
    """Each alone, as a reader's first program, and without a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run_python("-c", block)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the registry has no backend")
def test_the_page_of_model_types_is_the_registrys():
    """`python docs/model_types.py` writes it."""
    program = runpy.run_path(str(ROOT / "docs" / "model_types.py"))
    assert program["PAGE"].read_text() == program["page"]()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="links have no backend")
@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r'(?:\]\(|src="|href=")([^)"\s]+)', text):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        found = (page.parent / path) if path else page
        assert found.exists(), target
        if heading:
            assert heading in {anchor(title) for title in re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)}, (
                target
            )


def anchor(title: str) -> str:
    """The name that a heading is linked by."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="links have no backend")
def test_the_readme_links_every_page():
    text = (ROOT / "README.md").read_text()
    assert not [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in text]
