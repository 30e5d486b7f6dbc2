"""What a frame is expected to be, from the paintings of earlier ones."""

from collections.abc import Sequence

import numpy as np

from styletransfer.video.flow import Motion, scaled, shares, warp

ANCHOR = 0.5
"""How much the anchor counts beside the frames before, where both can be trusted.

It does where nothing has moved since. Elsewhere strokes are not where flow over so many frames
takes those of the anchor: mixed with them they get blurred, and the next frame is another.
"""


def expected(
    earlier: Sequence[tuple[np.ndarray, Motion]],
    anchor: tuple[np.ndarray, Motion] | None,
    anchored: float = ANCHOR,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a frame's painting should be, and how far that can be trusted.

    The long-term loss of Ruder et al. is Σ_j c_long(j) (x − w_j)², c_long(j) being c_j less the sum
    of the nearer c_i, and at least 0. But for a constant that is (Σ_j c_long(j)) (x − w)², w being
    the mean of the w_j so weighted. That is returned, the anchor being one of the j.

    Parameters
    ----------
    earlier : sequence of (ndarray, Motion)
        Paintings (H, W, 3), float32, of earlier frames, and the motion back to each; the nearest
        first.
    anchor : (ndarray, Motion) or None
        The same of the frame that the shot is held to.
    anchored : float
        How much that counts.
    """
    size = earlier[0][0].shape[:2]
    motions = [scaled(motion, size) for _, motion in earlier]
    weights = shares([motion.trust for motion in motions])
    pictures = [
        warp(p, m.flow, kernel="lanczos") for (p, _), m in zip(earlier, motions, strict=True)
    ]
    if anchor is not None:
        motion = scaled(anchor[1], size)
        held = np.float32(anchored) * motion.trust * ~motion.flow.any(axis=-1)
        weights = [weight * (1 - held) for weight in weights]
        weights.append(held)
        pictures.append(anchor[0])
    total = np.sum(weights, axis=0)
    mean = sum(w[..., np.newaxis] * p for w, p in zip(weights, pictures, strict=True))
    mean = mean / np.maximum(total, np.float32(1e-6))[..., np.newaxis]
    return np.clip(mean, 0, 1, dtype=np.float32), np.clip(total, 0, 1, dtype=np.float32)
