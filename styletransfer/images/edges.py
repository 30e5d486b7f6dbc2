"""What is fine in a picture: differences of neighbours, edges, and how much there is of it."""

import numpy as np

from styletransfer.images import grid, sizes

MOST_SHOWN = 1600


def high_pass(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences of neighbouring pixels, as TensorFlow's tutorial does.

    Parameters
    ----------
    image
        Float, shape (H, W, C).

    Returns
    -------
    horizontal : ndarray, shape (H, W - 1, C)
        Each pixel less its left neighbour.
    vertical : ndarray, shape (H - 1, W, C)
        Each pixel less the one above.
    """
    return image[:, 1:] - image[:, :-1], image[1:] - image[:-1]


def sobel(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives by Sobel's filters, with edges reflected, as ``tf.image.sobel_edges``.

    Parameters
    ----------
    image
        Float, shape (H, W, C), of at least two pixels on each side.

    Returns
    -------
    horizontal, vertical : ndarray, shape (H, W, C)
        Along x, positive where it gets brighter to the right, and along y.
    """
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    across = padded[:, 2:] - padded[:, :-2]
    down = padded[2:] - padded[:-2]
    horizontal = across[:-2] + 2 * across[1:-1] + across[2:]
    vertical = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    return horizontal, vertical


def total_variation(image: np.ndarray) -> float:
    """Return the sum of the absolute `high_pass`, as ``tf.image.total_variation``.

    Parameters
    ----------
    image
        Float in [0, 1], shape (H, W, C).
    """
    return float(sum(np.abs(part).sum(dtype=np.float64) for part in high_pass(image)))


def edge_sheet(content: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Return differences and Sobel edges of the content, and below them those of the result.

    The gray of 0.5 is no difference; differences are shown twice as strong, edges by a quarter.
    Of a result that is larger, a smaller one of at most `MOST_SHOWN` pixels a side is taken.
    """
    shape = result.shape[:2]
    scale = min(1, MOST_SHOWN / max(shape))
    if scale < 1:
        shape = tuple(max(round(scale * side), 1) for side in shape)
        result = sizes.resize_smoothly(result, shape)
    pictures, labels = [], []
    for name, picture in (("content", sizes.resize(content, shape)), ("result", result)):
        parts = [2 * part for part in high_pass(picture)]
        parts += [part / 4 for part in sobel(picture)]
        titles = ("differences across", "differences down", "Sobel across", "Sobel down")
        for title, part in zip(titles, parts, strict=True):
            shown = np.full_like(picture, 0.5)
            shown[picture.shape[0] - part.shape[0] :, picture.shape[1] - part.shape[1] :] += part
            pictures.append(shown.clip(0, 1))
            labels.append(f"{name}: {title}")
    return grid.contact_sheet(pictures, labels, columns=4)
