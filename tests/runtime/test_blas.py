"""The threads of linear algebra, of which some builds have one whatever is asked for."""

import contextlib

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from styletransfer.optim import minimise
from styletransfer.runtime import blas


def threads() -> set[int]:
    return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}


@pytest.fixture
def two_threads():
    import scipy.linalg  # noqa: F401  # has a library of its own

    with threadpool_limits(2, "blas"):
        if threads() != {2}:
            pytest.skip(f"this linear algebra has {threads()} threads, and not two")
        yield


@pytest.mark.usefixtures("two_threads")
def test_there_is_one_for_a_while():
    with blas.one_thread():
        assert threads() == {1}
    assert threads() == {2}
    with pytest.raises(ZeroDivisionError), blas.one_thread():
        raise ZeroDivisionError
    assert threads() == {2}


@pytest.mark.usefixtures("two_threads")
def test_the_last_of_several_lifts_it():
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(blas.one_thread())
        second.enter_context(blas.one_thread())
        first.close()
        assert threads() == {1}
    assert threads() == {2}


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("optimizer", ["lbfgs", "lbfgsb", "adam"])
def test_every_minimiser_evaluates_with_one(optimizer):
    seen = []

    def square(image):
        seen.append(threads())
        return float(np.square(image).sum()), 2 * image

    first = np.ones((1, 3, 8, 8), np.float32)
    bounds = np.full((1, 3, 1, 1), -2.0), np.full((1, 3, 1, 1), 2.0)
    minimise(optimizer, square, first, bounds, 2, lambda iterate: None)
    assert seen
    assert all(found == {1} for found in seen)
    assert threads() == {2}
