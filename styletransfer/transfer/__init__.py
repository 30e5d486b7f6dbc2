"""Style transfer by optimisation: from pictures and settings, through the stages, to a picture."""

from styletransfer.transfer.facade import StyleTransfer
from styletransfer.transfer.run import Result, Summary
from styletransfer.transfer.temporal import Expected

__all__ = ["Expected", "Result", "StyleTransfer", "Summary"]
