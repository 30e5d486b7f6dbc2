"""The networks' weights: finding, fetching, checking and converting them."""

from styletransfer.weights.cache import weights_digest
from styletransfer.weights.places import model_directories, user_data
from styletransfer.weights.shipped import path as shipped_path
from styletransfer.weights.shipped import read as read_shipped
from styletransfer.weights.sources import READY, SOURCES
from styletransfer.weights.store import Status, fetch, kept, load, load_ready, status, verify

__all__ = [
    "READY",
    "SOURCES",
    "Status",
    "fetch",
    "kept",
    "load",
    "load_ready",
    "model_directories",
    "read_shipped",
    "shipped_path",
    "status",
    "user_data",
    "verify",
    "weights_digest",
]
