"""Trees summed by bit vectors: the same bytes as LightGBM's own sums."""

import numpy as np
import pytest

from fraud.detectors import boosting, trees
from fraud.detectors.bitvectors import Bitvectors
from fraud.detectors.boosting import Boosting
from fraud.settings import BoostingSettings


def values(rows: int, seed: int, missing: float = 0.1) -> np.ndarray:
    """Numbers of many sizes, repeated values, zeros, infinities and gaps."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 7)).astype(np.float32)
    x[:, 1] = random.integers(0, 4, rows)
    x[:, 2] *= 1e30
    x[:, 3] = np.where(random.random(rows) < 0.5, 0, x[:, 3])
    x[:, 4] = np.where(random.random(rows) < 0.02, np.inf, x[:, 4])
    x[:, 5] *= np.float32(1e-36)
    x[:, :6][random.random((rows, 6)) < missing] = np.nan
    return x  # the last column never misses in training


def fitted(seed: int = 0, missing: float = 0.1, **changes: int) -> Boosting:
    x = values(1200, seed, missing)
    odds = np.nan_to_num(x[:, 0]) + (x[:, 1] == 2) - np.isnan(x[:, 3]) + x[:, 6]
    y = (odds + np.random.default_rng(seed).normal(size=len(x)) > 0).astype(int)
    settings = BoostingSettings(bags=3).model_copy(update=changes)
    return Boosting.fit(x, y, settings, 25, seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_same_sums_as_lightgbm(seed, missing):
    model = fitted(seed, missing)
    x = values(1000, seed + 50)
    x[::9] = np.nan  # also where training saw none
    x[0], x[1] = np.inf, -np.inf
    bits = Bitvectors.of(model.text)
    assert bits is not None
    expected = trees.predict(model.booster, x)
    for threads in (1, 3):
        assert (bits.predict(x, threads) == expected).all()


def test_thresholds_are_met_exactly():
    """A value that is a split's threshold, and its neighbours on either side."""
    model = fitted()
    bits = Bitvectors.of(model.text)
    x = np.zeros((3 * len(bits.feature), 7), np.float32)
    for side, towards in enumerate((-np.inf, None, np.inf)):
        rows = np.arange(side, len(x), 3)
        near = bits.threshold if towards is None else np.nextafter(bits.threshold, np.float32(towards))
        x[rows, bits.feature] = near
    assert (bits.predict(x) == trees.predict(model.booster, x)).all()


@pytest.mark.parametrize("rows", [0, 1, 255, 256, 257])
def test_blocks_that_are_not_full(rows):
    model, x = fitted(), values(rows, 9)
    assert (Bitvectors.of(model.text).predict(x, 2) == trees.predict(model.booster, x)).all()


def test_larger_and_other_trees_are_left_to_lightgbm():
    import lightgbm

    assert Bitvectors.of(fitted(leaves=40, depth=-1, min_leaf=2).text) is None
    x = values(500, 1)
    parameters = {"objective": "regression", "verbosity": -1, "num_threads": 1, "num_leaves": 8}
    data = lightgbm.Dataset(x, x[:, 6].copy(), categorical_feature=[1])
    with_groups = lightgbm.train(parameters | {"min_data_per_group": 1, "cat_smooth": 0}, data, 5)
    if "cat_threshold=" in with_groups.model_to_string():
        assert Bitvectors.of(with_groups.model_to_string()) is None
    zero = lightgbm.train(parameters | {"zero_as_missing": True}, lightgbm.Dataset(x, x[:, 6].copy()), 5)
    assert Bitvectors.of(zero.model_to_string()) is None


def test_trees_that_never_split():
    x = values(60, 2)
    model = Boosting.fit(x, np.arange(60) % 2, BoostingSettings(min_leaf=40, bags=2), 5, 1)
    bits = Bitvectors.of(model.text)
    assert (bits.predict(x) == trees.predict(model.booster, x)).all()


def test_many_rows_are_scored_so_and_few_by_lightgbm(monkeypatch):
    model, x = fitted(), values(300, 3)
    expected = model.margin(x)
    assert "bitvectors" not in vars(model)
    monkeypatch.setattr(boosting, "_WORTH", 1)
    assert (model.margin(x, 2) == expected).all()
    assert "bitvectors" in vars(model)


def test_bags_do_not_depend_on_threads():
    x = values(800, 4)
    y = (np.nan_to_num(x[:, 0]) > 0).astype(int)
    assert len({Boosting.fit(x, y, BoostingSettings(bags=4), 10, 1, threads=t).text for t in (1, 2, 4)}) == 1
