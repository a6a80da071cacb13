"""Checkpoint directories that are broken or mean harm, and the hub's cache."""

import gzip
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hub_helpers import put_into_cache
from safetensors.numpy import save_file

from keras_tx.convert import CheckpointDirectory, locate

GOLDEN = Path(__file__).parents[1] / "golden"
ONES = {"a": np.ones((2, 3), "float32"), "b": np.ones((5,), "float32")}


@pytest.fixture
def directory(tmp_path) -> Path:
    path = tmp_path / "checkpoint"
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "gpt2", "eos_token_id": 3}')
    return path


def shard(path: Path, places: dict[str, str]) -> None:
    """The tensors in as many files as named, and an index that says so."""
    for name in set(places.values()):
        save_file({key: ONES[key] for key, place in places.items() if place == name}, path / name)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def test_config_and_tensors(directory):
    save_file(ONES, directory / "model.safetensors")
    (directory / "generation_config.json").write_text('{"eos_token_id": [1, 2], "max_length": 50}')
    checkpoint = CheckpointDirectory(directory)
    assert checkpoint.config == {"model_type": "gpt2", "eos_token_id": [1, 2]}
    assert {name: tensor.shape for name, tensor in checkpoint.tensors.items()} == {"a": (2, 3), "b": (5,)}


def test_shards(directory):
    shard(directory, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    np.testing.assert_array_equal(CheckpointDirectory(directory).tensors["b"].read(), ONES["b"])


def _no_weights(path):
    pass


def _pickle_only(path):
    (path / "pytorch_model.bin").write_bytes(b"\x80")


def _no_config(path):
    save_file(ONES, path / "model.safetensors")
    (path / "config.json").unlink()


def _broken_config(path):
    (path / "config.json").write_text("{")


def _config_is_a_list(path):
    (path / "config.json").write_text("[]")


def _index_leads_up(path):
    save_file(ONES, path.parent / "elsewhere.safetensors")
    (path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict.fromkeys(ONES, "../elsewhere.safetensors")})
    )


def _index_leads_to_the_root(path):
    save_file(ONES, path.parent / "elsewhere.safetensors")
    (path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict.fromkeys(ONES, str(path.parent / "elsewhere.safetensors"))})
    )


def _weights_are_a_link_out(path):
    save_file(ONES, path.parent / "elsewhere.safetensors")
    (path / "model.safetensors").symlink_to(path.parent / "elsewhere.safetensors")


def _config_is_a_link_out(path):
    save_file(ONES, path / "model.safetensors")
    (path / "config.json").rename(path.parent / "config.json")
    (path / "config.json").symlink_to("../config.json")


def _index_without_a_map(path):
    (path / "model.safetensors.index.json").write_text("{}")


def _shard_is_not_there(path):
    shard(path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    (path / "model-2.safetensors").unlink()


def _shard_lacks_a_tensor(path):
    shard(path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    save_file({}, path / "model-2.safetensors")


def _shard_has_too_much(path):
    shard(path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    save_file(ONES, path / "model-2.safetensors")


def _h5_is_cut(path):
    with h5py.File(path / "tf_model.h5", "w") as file:
        file["model/net/w:0"] = np.ones((64, 64))
    content = (path / "tf_model.h5").read_bytes()
    (path / "tf_model.h5").write_bytes(content[: len(content) // 2])


def _h5_is_text(path):
    (path / "tf_model.h5").write_text("weights")


def _h5_links_out(path):
    with h5py.File(path / "tf_model.h5", "w") as file:
        file["model/net/w:0"] = h5py.ExternalLink("/etc/passwd", "/x")


def _h5_keeps_data_elsewhere(path):
    with h5py.File(path / "tf_model.h5", "w") as file:
        file.create_dataset("model/net/w:0", (3,), "f4", external=[(str(path / "raw"), 0, 12)])


def _sum_differs(path):
    save_file(ONES, path / "model.safetensors")
    (path / "SHA256SUMS").write_text(f"{'0' * 64}  model.safetensors\n")


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (_no_weights, FileNotFoundError, "holds no model.safetensors"),
        (_pickle_only, ValueError, r"can run any code.*save_pretrained"),
        (_no_config, FileNotFoundError, "no file .*config.json"),
        (_broken_config, ValueError, "config.json is not a JSON file"),
        (_config_is_a_list, ValueError, "config.json must hold a JSON object"),
        (_index_leads_up, ValueError, "leads out of its directory"),
        (_index_leads_to_the_root, ValueError, "leads out of its directory"),
        (_weights_are_a_link_out, ValueError, "leads out of its directory"),
        (_config_is_a_link_out, ValueError, "leads out of its directory"),
        (_index_without_a_map, ValueError, "weight_map"),
        (_shard_is_not_there, FileNotFoundError, "model-2.safetensors"),
        (_shard_lacks_a_tensor, ValueError, "the shards lack b"),
        (_shard_has_too_much, ValueError, "holds a, which .* does not place there"),
        (_h5_is_cut, ValueError, "not a whole HDF5 file"),
        (_h5_is_text, ValueError, "not a whole HDF5 file"),
        (_h5_links_out, ValueError, "is a link"),
        (_h5_keeps_data_elsewhere, ValueError, "keeps its data in another file"),
        (_sum_differs, ValueError, "not as it was saved"),
    ],
)
def test_damage_is_an_error_that_says_what(directory, damage, error, message):
    damage(directory)
    with pytest.raises(error, match=message):
        CheckpointDirectory(directory)


def _group_is_its_own(path):
    with h5py.File(path / "tf_model.h5", "w") as file:
        file["model/net/w:0"] = np.ones(3)
        file["model/net/model"] = file["model"]


def _h5_holds_text(path):
    with h5py.File(path / "tf_model.h5", "w") as file:
        file["w:0"] = np.array([b"one", b"two"])


@pytest.mark.parametrize("damage", [_group_is_its_own, _h5_holds_text])
def test_an_h5_that_is_no_table_of_numbers(directory, damage):
    damage(directory)
    with pytest.raises(ValueError, match=r"tf_model\.h5.* (second name of another group|holds no numbers)"):
        [tensor.read() for tensor in CheckpointDirectory(directory).tensors.values()]


def test_a_damaged_h5_is_named(directory):
    """Whatever bytes are others, the error is of the file, and says so; where none is raised, all can be read."""
    rng, errors = np.random.default_rng(0), 0
    content = gzip.decompress((GOLDEN / "h5_namings/GPT2LMHeadModel/scoped.h5.gz").read_bytes())
    for _ in range(60):
        damaged = bytearray(content)
        start, count = rng.integers(len(content)), rng.choice([1, 8, 200])
        damaged[start : start + count] = rng.bytes(count) if rng.random() < 0.5 else b""
        (directory / "tf_model.h5").write_bytes(damaged)
        try:
            [tensor.read() for tensor in CheckpointDirectory(directory).tensors.values()]
        except ValueError as error:
            errors += 1
            assert f"{directory / 'tf_model.h5'} is not a whole HDF5 file, or it is damaged: " in str(error)
    assert errors > 20


@pytest.mark.parametrize(
    ("architectures", "named"),
    [
        (["BertForSequenceClassification"], "BertForSequenceClassification"),
        (["TFGPT2LMHeadModel"], "GPT2LMHeadModel"),
        (None, "AutoModel"),
    ],
)
def test_advice_for_pickles_keeps_the_head(directory, architectures, named):
    (directory / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": architectures}))
    (directory / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(ValueError, match=rf" {named}\.from_pretrained\('{directory}'\)\.save_pretrained"):
        CheckpointDirectory(directory)


def test_no_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="no directory"):
        CheckpointDirectory(tmp_path / "nowhere")


# === The hub ===


def test_advice_for_pickles_on_the_hub(directory, tmp_path):
    put_into_cache(tmp_path / "cache", "some/bert", directory)
    with pytest.raises(FileNotFoundError, match=r"AutoModel\.from_pretrained\('some/bert'\)"):
        CheckpointDirectory(locate("some/bert", cache_dir=tmp_path / "cache", local_files_only=True))


@pytest.mark.parametrize(
    ("index", "shards"),
    [
        ("model.safetensors.index.json", ["model-1.safetensors", "model-2.safetensors"]),
        ("tf_model.h5.index.json", ["tf_model-1.h5", "tf_model-2.h5"]),
    ],
)
def test_shards_are_downloaded(directory, monkeypatch, tmp_path, index, shards):
    places = dict(zip(ONES, shards, strict=True))
    (directory / index).write_text(json.dumps({"weight_map": places}))
    for name, shard in places.items():
        (directory / shard).write_text(name)
    copy = tmp_path / "copy"
    copy.mkdir()

    def download(hub_id, name, *options, **more):
        return Path(shutil.copy(directory / name, copy)) if (directory / name).exists() else None

    monkeypatch.setattr("keras_tx.convert.hub.download", download)
    assert locate("some/gpt") == copy
    assert {file.name for file in copy.iterdir()} == {"config.json", index, *shards}


@pytest.fixture
def cache(tmp_path) -> Path:
    """The hub's cache as its own library leaves it: snapshots that are links to blobs."""
    repository = tmp_path / "cache" / "models--some--gpt"
    for commit, value in (("1" * 40, 1.0), ("2" * 40, 2.0)):
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (repository / "blobs").mkdir(exist_ok=True)
        save_file({"a": np.full((2,), value, "float32")}, repository / "blobs" / f"weights{commit}")
        (repository / "blobs" / f"config{commit}").write_text('{"model_type": "gpt2"}')
        for name, blob in (("model.safetensors", f"weights{commit}"), ("config.json", f"config{commit}")):
            (snapshot / name).symlink_to(Path("..", "..", "blobs", blob))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1" * 40)
    (repository / "refs" / "old").write_text("2" * 40)
    return tmp_path / "cache"


@pytest.mark.parametrize(("revision", "value"), [(None, 1.0), ("old", 2.0), ("2" * 40, 2.0)])
def test_the_hub_from_its_cache(cache, revision, value):
    path = locate("some/gpt", revision=revision, cache_dir=cache, local_files_only=True)
    assert CheckpointDirectory(path).tensors["a"].read()[0] == value


def test_a_link_out_of_the_cache(cache, tmp_path):
    path = locate("some/gpt", cache_dir=cache, local_files_only=True)
    save_file(ONES, tmp_path / "elsewhere.safetensors")
    (path / "model.safetensors").unlink()
    (path / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(ValueError, match="leads out of its directory"):
        CheckpointDirectory(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("some/other", "no directory some/other, and the hub's"),
        ("some/gpt/too/deep", "no hub id"),
        ("../gpt", "no hub id"),
        ("./nowhere", "no directory"),
    ],
)
def test_nothing_there(cache, source, message):
    with pytest.raises(FileNotFoundError, match=message):
        locate(source, cache_dir=cache, local_files_only=True)
