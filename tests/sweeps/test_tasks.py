from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from sweeps.config import TaskConfig
from sweeps.tasks import downloads, load_task
from sweeps.tasks.arrays import MissingDataError
from sweeps.tasks.drift import drift

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.mark.parametrize("name", ["digits", "synthetic"])
@pytest.mark.parametrize("drifted", [False, True])
def test_a_task_is_the_same_each_time_and_its_parts_do_not_overlap(name, drifted, tmp_path):
    config = TaskConfig(name=name, drift=drifted)
    first = load_task.__wrapped__(config, tmp_path)
    second = load_task.__wrapped__(config, tmp_path)
    for part in ("pretrain", "train", "test"):
        assert getattr(first, part).fingerprint == getattr(second, part).fingerprint
    images = {image.numpy().tobytes() for image in first.test.images}
    assert not images & {image.numpy().tobytes() for image in first.train.images}
    assert set(first.train.labels.tolist()) == set(range(first.train.num_classes))


def test_another_seed_deals_other_images(tmp_path):
    first, second = (load_task(TaskConfig(seed=s), tmp_path).train.fingerprint for s in (0, 1))
    assert first != second


def test_drift_changes_the_images_and_not_the_trunk_s(tmp_path):
    plain, drifted = (load_task(TaskConfig(drift=d), tmp_path) for d in (False, True))
    assert drifted.test.fingerprint != plain.test.fingerprint
    clean = {image.numpy().tobytes() for image in plain.train.images}
    assert all(image.numpy().tobytes() in clean for image in drifted.pretrain.images)


def test_drift_is_a_pure_function_of_images_and_seed():
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(drift(images, 3), drift(images, 3))
    assert not torch.equal(drift(images, 3), drift(images, 4))


def test_more_samples_than_there_are_is_refused(tmp_path):
    with pytest.raises(ValueError, match="train_samples <= 600"):
        load_task(TaskConfig(name="synthetic", train_samples=601), tmp_path)


def test_an_unknown_task_names_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="Did you mean 'digits'"):
        load_task(TaskConfig(name="digit"), tmp_path)


@pytest.mark.skipif(not DEBIAN.exists(), reason="dataset-fashion-mnist is not installed")
def test_fashion_mnist_comes_from_the_debian_package(tmp_path):
    task = load_task.__wrapped__(TaskConfig(name="fashion_mnist"), tmp_path)
    assert tuple(task.train.images.shape) == (60_000, 1, 28, 28)
    assert torch.bincount(task.test.labels).tolist() == [1000] * 10


def _no_network(monkeypatch):
    def fail(self):
        raise RuntimeError("no network")

    monkeypatch.setattr(downloads.datasets.FashionMNIST, "download", fail)
    monkeypatch.setattr(downloads.datasets.CIFAR10, "download", fail)


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_a_missing_data_set_says_how_to_get_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_DEBIAN_FASHION_MNIST", tmp_path / "nowhere")
    _no_network(monkeypatch)
    with pytest.raises(MissingDataError, match="Get it with"):
        load_task.__wrapped__(TaskConfig(name=name), tmp_path)


def test_images_of_the_wrong_classes_are_refused(tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    for part, count in (("train", 20), ("t10k", 10)):
        header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
        with gzip.open(package / f"{part}-images-idx3-ubyte.gz", "wb") as file:
            file.write(header + bytes(count * 28 * 28))
        with gzip.open(package / f"{part}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(bytes([0, 0, 8, 1]) + count.to_bytes(4, "big") + bytes(count))
    monkeypatch.setattr(downloads, "_DEBIAN_FASHION_MNIST", package)
    with pytest.raises(MissingDataError, match="6000 images in each of 10 classes"):
        load_task.__wrapped__(TaskConfig(name="fashion_mnist"), tmp_path)
