"""Caffe's files: prototxts, caffemodels and means."""

from styletransfer.caffe.caffemodel import read_caffemodel, read_mean
from styletransfer.caffe.conversion import convert
from styletransfer.caffe.folder import load_folder

__all__ = ["convert", "load_folder", "read_caffemodel", "read_mean"]
