"""One thread for NumPy's and SciPy's linear algebra while ONNX Runtime has the processors."""

import contextlib
import threading
from collections.abc import Iterator

_turn = threading.Lock()
_inside = 0  # threads that are in `one_thread`
_before = contextlib.ExitStack()  # sets back what there was before the first of them


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep the linear algebra of this process to one thread for a while.

    OpenBLAS' threads go on spinning for some milliseconds after a product or an inner product, on
    processors that the runtime's threads need by then: an evaluation of GoogLeNet between two
    steps of L-BFGS took 0.19 s instead of 0.14. Vectors as long as an image gain nothing by them.
    Libraries that are loaded later are not kept to it: import them before. The limit is the whole
    process's: of several threads in here the last one that leaves lifts it.
    """
    from threadpoolctl import threadpool_limits

    global _inside
    with _turn:
        if not _inside:
            _before.enter_context(threadpool_limits(1, "blas"))
        _inside += 1
    try:
        yield
    finally:
        with _turn:
            _inside -= 1
            if not _inside:
                _before.close()
