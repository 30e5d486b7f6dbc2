"""The networks' weights: finding, fetching, checking and converting them."""

from styletransfer.weights.cache import weights_digest
from styletransfer.weights.places import model_directories
from styletransfer.weights.shipped import read as read_shipped
from styletransfer.weights.sources import SOURCES
from styletransfer.weights.store import Status, fetch, load, status, verify

__all__ = [
    "SOURCES",
    "Status",
    "fetch",
    "load",
    "model_directories",
    "read_shipped",
    "status",
    "verify",
    "weights_digest",
]
