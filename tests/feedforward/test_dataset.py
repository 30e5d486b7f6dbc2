"""The pictures that a network learns from."""

import dataclasses
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from styletransfer import images
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.feedforward import configuration, dataset
from styletransfer.feedforward.dataset import Ahead, Dataset
from tests.feedforward.pictures import picture

pytest_plugins = ["tests.feedforward.trainings"]

CONFIGURATION = configuration.read({"image_size": 24, "batch_size": 2, "seed": 3})
CHANCE = dataclasses.replace(CONFIGURATION, crop="random", zoom=1.5, flip=True)


def test_pictures_are_found_in_folders_in_order(photographs):
    names = [str(path.relative_to(photographs)) for path in dataset.find(photographs)]
    assert names == ["0.png", "1.png", "2.png", "more/3.png", "more/4.png", "more/broken.jpg"]


def test_a_folder_without_pictures_is_told(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "._0.jpg").write_text("what macOS leaves")
    with pytest.raises(UsageError, match="there are no pictures in"):
        dataset.find(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        dataset.find(tmp_path / "none")


def test_the_centre_is_cropped(tmp_path):
    wide = np.zeros((20, 60, 3), np.float32)
    wide[:, 20:40] = 1
    images.save(tmp_path / "wide.png", wide)
    assert (dataset.square(tmp_path / "wide.png", 20, None, 1) == 255).all()


def test_crops_by_chance_are_parts_of_the_picture(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32)[:, None], (40, 64, 3))
    ramp = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], 40, 0).repeat(3, 2)
    images.save(tmp_path / "ramp.png", ramp)
    starts = set()
    for seed in range(8):
        chance = np.random.default_rng(seed)
        crop = dataset.square(tmp_path / "ramp.png", 20, chance, 2)
        steps = np.diff(crop[:, :, 0].astype(int), axis=1)
        # From the whole shorter side, 40 of 64 columns for 20, to the half of it.
        assert 255 / 63 * 0.9 < steps.mean() < 255 / 63 * 2.2
        starts.add(int(crop[0, 0, 0]))
    assert len(starts) > 4


def test_a_step_sees_the_same_whatever_came_before(photographs):
    paths = dataset.find(photographs)
    one, two = Dataset(paths, CHANCE), Dataset(paths, CHANCE)
    for step in (0, 1, 2, 7):
        expected = one.batch(step)
    np.testing.assert_array_equal(two.batch(7), expected)
    other = Dataset(paths, dataclasses.replace(CHANCE, seed=4))
    assert not np.array_equal(other.batch(7), expected)


def test_every_epoch_has_every_picture_in_another_order(tmp_path):
    for i in range(7):
        half = np.full((30, 30, 3), i / 7, np.float32)
        half[:, 15:] = 1 - i / 7 if i else 0.5
        images.save(tmp_path / f"{i}.png", half)
    data = Dataset(dataset.find(tmp_path), dataclasses.replace(CONFIGURATION, batch_size=1))
    orders = [[int(data.batch(7 * e + i)[0, 0, 0, 0]) for i in range(7)] for e in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == [round(255 * i / 7) for i in range(7)]
    assert orders[0] != orders[1]


def test_a_broken_picture_is_named_once_and_replaced(photographs, caplog):
    data = Dataset(dataset.find(photographs), CONFIGURATION)
    batches = [data.batch(step) for step in range(9)]
    assert all(batch.shape == (2, 24, 24, 3) and batch.dtype == np.uint8 for batch in batches)
    named = [r.getMessage() for r in caplog.records if "broken.jpg" in r.getMessage()]
    assert len(named) == 1
    # One that knows already what is broken sees the same.
    np.testing.assert_array_equal(data.batch(0), batches[0])


def test_squares_of_one_colour_give_way(tmp_path, caplog):
    white = np.ones((40, 40, 3), np.float32)
    drawing = white.copy()
    drawing[10:20, 10:20] = picture(1, (10, 10))
    images.save(tmp_path / "drawing.png", drawing)
    images.save(tmp_path / "photo.png", picture(2, (40, 40)))
    images.save(tmp_path / "white.png", white)
    paths = dataset.find(tmp_path)
    chance = Dataset(paths, dataclasses.replace(CHANCE, zoom=4))
    for step in range(30):
        assert (chance.batch(step).std(axis=(1, 2)).max(axis=-1) > 1).all()
    assert not caplog.records  # another square of the picture may do
    centre = Dataset(paths, CONFIGURATION)
    for step in range(5):
        assert (centre.batch(step).std(axis=(1, 2)).max(axis=-1) > 1).all()
    assert [("white.png" in r.getMessage()) for r in caplog.records] == [True]
    with pytest.raises(StyleTransferError, match="are of one colour"):
        Dataset([tmp_path / "white.png"], CONFIGURATION).batch(0)


def test_pictures_whose_middle_is_plain_give_way_where_they_are_shifted(tmp_path):
    edge = np.zeros((24, 24, 3), np.float32)
    edge[:5] = 1
    images.save(tmp_path / "a.png", edge)
    paths = dataset.find(tmp_path)
    assert Dataset(paths, CONFIGURATION).batch(0).any()
    with pytest.raises(StyleTransferError, match="are of one colour"):
        Dataset(paths, dataclasses.replace(CONFIGURATION, shift=1.0)).batch(0)


def test_a_dataset_of_broken_pictures_is_told(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"broken")
    with pytest.raises(StyleTransferError, match="none of the pictures"):
        Dataset(dataset.find(tmp_path), CONFIGURATION).batch(0)


def test_a_large_jpeg_is_decoded_smaller(tmp_path):
    large = Image.fromarray((picture(0, (400, 560)) * 255).astype(np.uint8))
    large.save(tmp_path / "large.jpg", quality=95)
    assert dataset.opened(tmp_path / "large.jpg", 90).size == (140, 100)
    small = dataset.square(tmp_path / "large.jpg", 90, None, 1).astype(float)
    box = (80, 0, 480, 400)
    whole = np.asarray(large.resize((90, 90), Image.Resampling.BILINEAR, box), float)
    assert np.abs(small - whole).mean() < 2


def test_batches_read_ahead_are_those_of_their_steps(photographs):
    paths = dataset.find(photographs)
    alone = Dataset(paths, CHANCE)
    with Ahead(Dataset(paths, CHANCE), 3) as ahead:
        for step in (0, 1, 2, 3, 1, 2, 9):  # also where a training goes back
            np.testing.assert_array_equal(ahead.batch(step), alone.batch(step))
        np.testing.assert_array_equal(ahead.first(), alone.batch(0))


def test_readers_in_threads_leave_warnings_as_they_were(photographs):
    """The module `warnings` keeps where warnings go for the whole process."""
    before = (warnings.filters, warnings._showwarnmsg_impl)
    path = photographs / "0.png"
    barrier = threading.Barrier(4)

    def read():
        barrier.wait()
        for _ in range(20):
            dataset.opened(path, 24)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (warnings.filters, warnings._showwarnmsg_impl) == before
