"""Networks that paint in one pass."""

from styletransfer.feedforward.trainer import Trainer

__all__ = ["Trainer"]
