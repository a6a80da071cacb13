"""`keras-tx train vit` and `swin`: what it makes, and that every way to fail is one clear line."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from program import run

from keras_tx.training import Run
from keras_tx.training.data.images import dataset_images
from keras_tx.training.metrics.tokens import read_table
from keras_tx.vision import ImagePreprocessor


@pytest.fixture
def pictures(tmp_path, rng) -> Path:
    """Eleven pictures each of two colours, some grey, of several sizes."""
    for channel, name in enumerate(("blue", "red")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(11):
            pixels = rng.integers(0, 90, (13 + i, 17, 3))
            pixels[..., 2 - 2 * channel] += 150
            suffix = "jpg" if i % 2 else "png"
            Image.fromarray(pixels.astype("uint8")).save(tmp_path / "pictures" / name / f"{i}.{suffix}")
    return tmp_path / "pictures"


@pytest.mark.slow
def test_a_folder_of_images(pictures, tmp_path, capfd, fails):
    options = ["--images", pictures, "--image-size", 8, "--patch-size", 4, "--epochs", 2, "--batch-size", 5]
    assert run("train", "vit", *options, "--runs", tmp_path, "--name", "colours") == 0
    out = capfd.readouterr().out
    assert "2 classes of images of 8 x 8 x 3" in out
    (accuracy,) = re.findall(r"validation accuracy (\S+)%", out)
    directory = tmp_path / "colours"
    assert {path.name for path in directory.iterdir()} == {
        *(
            "run.json",
            "state.safetensors",
            "metrics.csv",
            "model.keras",
            "preprocessor_config.json",
            "best.weights.h5",
            "last.weights.h5",
        ),
        *("loss.png", "accuracy.png", "confusion.png", "attention.png", "positions.png"),
    }
    table = read_table(directory / "metrics.csv")
    assert len(table) == 2 and float(accuracy) == pytest.approx(100 * table[-1]["val_accuracy"], abs=0.01)
    assert json.loads((directory / "run.json").read_text())["options"]["model"] == "vit"
    model = keras.models.load_model(directory / "model.keras", compile=False)
    assert model.config.label_names == ("blue", "red")
    preprocessor = ImagePreprocessor.from_pretrained(directory)
    assert Run(directory).load_image_model()[1] == preprocessor
    assert "holds a model of images, not of texts" in fails("generate", directory)
    image = np.asarray(Image.open(pictures / "red" / "0.png"))
    assert keras.ops.convert_to_numpy(model(preprocessor(image))).shape == (1, 2)


@pytest.mark.slow
def test_stopped_and_resumed(pictures, tmp_path, capfd, fails):
    given = ["train", "vit", "--images", pictures, "--image-size", 8, "--runs", tmp_path, "--batch-size", 9]
    assert run(*given, "--epochs", 1) == 0
    record = tmp_path / "images" / "run.json"
    record.write_text(record.read_text().replace('"epochs": 1', '"epochs": 2'))  # as if it had been stopped after one
    assert "with --epochs 2, not 1" in fails(*given, "--epochs", 1, "--resume")
    assert "already holds a run" in fails(*given)
    assert "begun by `train vit`: continue it by that" in fails("train", "swin", "--runs", tmp_path, "--resume")
    capfd.readouterr()
    assert run(*given, "--resume") == 0
    assert "Epoch 2/2" in capfd.readouterr().out
    assert len(read_table(tmp_path / "images" / "metrics.csv")) == 2
    next((pictures / "red").iterdir()).unlink()
    assert "the data are not those" in fails(*given, "--resume")


@pytest.mark.slow
def test_digits_on_a_swin(tmp_path, capfd):
    options = ["--epochs", 1, "--runs", tmp_path]
    assert run("train", "swin", *options) == 0
    assert "10 classes of images of 8 x 8 x 1" in capfd.readouterr().out
    assert (tmp_path / "images" / "attention.png").exists() and not (tmp_path / "images" / "positions.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train bert", "No such command 'bert': see .* --help"),
        ("train --steps 5 vit", "options go behind `vit`"),
        ("train vit --images none", "--images: there is no directory .*none: give one that holds a folder"),
        ("train vit --images a --dataset b", "give --images or --dataset, not both"),
        ("train vit --recipe mine", "--recipe mine is not one of vit, deit, swin, small, digits"),
        ("train vit --epochs 0", "'--epochs'"),
        ("train vit --learning-rate -1", "`learning_rate` must be above 0; got -1.0"),
        ("train vit --learning-rate nan", "`learning_rate` must be above 0; got nan"),
        ("train vit --patch-size 9", "`image_size` must be no smaller than a patch"),
        ("train swin --patch-size 9", "`image_size` must be no smaller than a patch"),
    ],
)
def test_bad_options(fails, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert re.search(words, fails(*arguments.split()))
    assert not list(tmp_path.iterdir())


def one_class(pictures: Path) -> None:
    for path in (pictures / "red").iterdir():
        path.unlink()
    (pictures / "red").rmdir()


def no_image(pictures: Path) -> None:
    (pictures / "red" / "notes.jpg").write_text("not a picture")


def half_an_image(pictures: Path) -> None:
    path = pictures / "blue" / "1.jpg"
    path.write_bytes(path.read_bytes()[:300])


def empty(pictures: Path) -> None:
    for path in pictures.rglob("*.*"):
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (one_class, "must hold two folders of images or more, one for each class"),
        (no_image, "notes.jpg is not a whole JPEG, PNG, GIF or BMP image: replace or remove it"),
        (half_an_image, "1.jpg is not a whole JPEG"),
        (empty, "--images: cannot take the images in"),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_bad_folders(fails, pictures, tmp_path, damage, words):
    damage(pictures)
    assert re.search(words, fails("train", "vit", "--images", pictures, "--runs", tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_a_run_is_not_written_over(fails, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "run.json").write_text("{}")
    line = fails("train", "vit", "--runs", tmp_path)
    assert "already holds a run: continue it with --resume, choose another --name, or move" in line


@pytest.fixture(scope="session")
def sets(tmp_path_factory) -> Path:
    """A directory of two TFDS sets, as TFDS itself writes them: of pictures, and of others."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    directory = tmp_path_factory.mktemp("tfds")

    def store(name: str, features: dict, examples: dict, splits: dict[str, int]) -> None:
        data = tf.data.Dataset.from_tensor_slices(examples)
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={split: data.take(count) for split, count in splits.items()},
            data_dir=str(directory),
        )

    pictures = np.random.default_rng(0).integers(0, 256, (7, 13, 17, 3)).astype("uint8")
    labelled = {"image": pictures, "label": np.arange(7) % 3}
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "label": tfds.features.ClassLabel(names=list("abc")),
    }
    store("pictures", features, labelled, {"train": 7, "test": 5})
    store("only_train", features, labelled, {"train": 7})
    store("numbers", {"number": tf.int64}, {"number": np.arange(7)}, {"train": 7, "test": 5})
    return directory


def test_tfds_sets(sets):
    data = dataset_images("pictures", (6, 10), sets)
    assert data.shape == (6, 10, 3) and data.label_names == ("a", "b", "c")
    images, labels = zip(*data.validation.as_numpy_iterator(), strict=True)
    assert np.shape(images) == (5, 6, 10, 3) and sorted(labels) == [0, 0, 1, 1, 2]  # TFDS shuffles what it stores
    assert len(list(data.train)) == 7


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("only_train", "'only_train' has the parts train: it needs train, and one to test"),
        ("numbers", "'numbers' holds number: it needs image and label"),
        ("no_such_set", "cannot load the TFDS set 'no_such_set': .* Give a folder of images instead"),
    ],
)
def test_tfds_sets_that_do_not_do(sets, name, words):
    with pytest.raises(ValueError, match=words):
        dataset_images(name, 8, sets)
