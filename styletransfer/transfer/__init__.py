"""Style transfer by optimisation: from pictures and settings, through the stages, to a picture."""

from styletransfer.transfer.checkpoint import Checkpoints
from styletransfer.transfer.facade import StyleTransfer
from styletransfer.transfer.run import Result, Summary
from styletransfer.transfer.temporal import Expected

__all__ = ["Checkpoints", "Expected", "Result", "StyleTransfer", "Summary"]
