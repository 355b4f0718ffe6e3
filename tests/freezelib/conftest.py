import pytest
import torch
from frozen_samples import SAMPLES, frozen_prefix, labelled_images, recipe_for

from freezelib.cache import CacheStore

torch.set_num_threads(1)  # the tensors are small, and a shared machine punishes two threads


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data():
    return labelled_images(SAMPLES)


@pytest.fixture(scope="session")
def prefix():
    return frozen_prefix()


@pytest.fixture
def recipe(prefix, data):
    return recipe_for(prefix, data)


@pytest.fixture
def store(tmp_path):
    return CacheStore(tmp_path / "caches")


@pytest.fixture
def cache(store, recipe, prefix, data):
    return store.get_or_build(recipe, prefix=prefix, data=data)
