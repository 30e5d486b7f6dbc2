"""The page."""

from fastapi import FastAPI

from styletransfer.web.limits import Limits
from styletransfer.web.queue import Queue


def mount(app: FastAPI, queue: Queue, limits: Limits) -> None:
    """Mount the page."""
