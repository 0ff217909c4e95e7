"""Stable pseudo-random numbers from integer keys: the same on every machine, in any order."""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)


def mix(*keys: np.ndarray | int) -> np.ndarray:
    """Combine integer keys into one 64-bit value (splitmix64, Steele et al. 2014).

    Parameters
    ----------
    *keys : ndarray of int or int
        Broadcast together.

    Returns
    -------
    ndarray of uint64
    """
    x = np.zeros(1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            k = np.uint64(key & (2**64 - 1)) if isinstance(key, int) else np.asarray(key).astype(np.uint64)
            x = (x ^ k) + _GOLDEN
            x = (x ^ (x >> np.uint64(30))) * _M1
            x = (x ^ (x >> np.uint64(27))) * _M2
            x = x ^ (x >> np.uint64(31))
    return x


def uniform(*keys: np.ndarray | int) -> np.ndarray:
    """Uniform numbers in [0, 1) from integer keys; see `mix`."""
    return (mix(*keys) >> np.uint64(11)).astype(np.float64) * (1.0 / 9007199254740992.0)


def pick(n: np.ndarray | int, *keys: np.ndarray | int) -> np.ndarray:
    """Integers in [0, n) from integer keys (`n` at least 1)."""
    return (uniform(*keys) * n).astype(np.int64)
