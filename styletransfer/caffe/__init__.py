"""Caffe's files: prototxts, caffemodels and means."""

from styletransfer.caffe.caffemodel import read_caffemodel, read_mean
from styletransfer.caffe.convert import convert, load_folder

__all__ = ["convert", "load_folder", "read_caffemodel", "read_mean"]
