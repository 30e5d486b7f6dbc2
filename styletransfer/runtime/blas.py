"""One thread for NumPy's and SciPy's linear algebra while ONNX Runtime has the processors."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep the linear algebra of this process to one thread for a while.

    OpenBLAS' threads go on spinning for some milliseconds after a product or an inner product, on
    processors that the runtime's threads need by then: an evaluation of GoogLeNet between two
    steps of L-BFGS took 0.19 s instead of 0.14. Vectors as long as an image gain nothing by them.
    Libraries that are loaded later are not kept to it: import them before. Where two threads of
    this process are in here at a time, the first decides.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield
