"""`StyleTransfer` used from several threads: one in turns, and one each."""

import threading
from dataclasses import replace

import numpy as np

from styletransfer import StyleTransfer, images
from tests.conftest import ROOT

CONTENT = images.load(ROOT / "images" / "content" / "cat.jpg")
STYLES = [images.load(ROOT / "images" / "style" / f"{name}.jpg") for name in ("wave", "night")]


def test_a_run_is_not_disturbed_by_another_thread_s(quick_network):
    name, folder = quick_network
    transfer = StyleTransfer(name, use_pbar=False, gpu_id=-1, models=folder)
    transfer.network = replace(transfer.network, input_size=64)

    def make(style, progress):
        transfer.transfer_style(style, CONTENT, 64, 1e4, 3, "content", progress=progress)

    alone = []
    for style in STYLES:
        make(style, None)
        alone.append(transfer.get_generated())

    last = {}
    begun = threading.Event()

    def follow_second(step):
        begun.set()
        last[1] = step.image()

    second = threading.Thread(target=make, args=(STYLES[1], follow_second))

    def follow_first(step):
        if step.iteration == 1:
            second.start()
            begun.wait(1)  # in vain, if the second waits for its turn
        last[0] = step.image()

    make(STYLES[0], follow_first)
    second.join()
    for i in (0, 1):
        np.testing.assert_array_equal(last[i], alone[i])


def test_two_in_two_threads_make_what_each_makes_alone(quick_network):
    name, folder = quick_network

    def ready() -> StyleTransfer:
        transfer = StyleTransfer(name, use_pbar=False, gpu_id=-1, models=folder)
        transfer.network = replace(transfer.network, input_size=64)
        return transfer

    def make(transfer, style, made):
        transfer.transfer_style(style, CONTENT, 64, 1e4, 3, "content", progress=made)

    alone, together = [], [None, None]
    for style in STYLES:
        transfer = ready()
        make(transfer, style, None)
        alone.append(transfer.get_generated())
    # Each waits for the other's first iteration: they do run at the same time.
    both = threading.Barrier(2)

    def work(i):
        transfer = ready()

        def meet(step):
            if step.iteration == 1:
                both.wait(60)

        make(transfer, STYLES[i], meet)
        together[i] = transfer.get_generated()

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in (0, 1):
        np.testing.assert_array_equal(together[i], alone[i])
