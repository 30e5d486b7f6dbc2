"""Style transfer by optimisation: from pictures and settings, through the stages, to a picture."""

from styletransfer.transfer.facade import StyleTransfer
from styletransfer.transfer.run import Result, Summary

__all__ = ["Result", "StyleTransfer", "Summary"]
