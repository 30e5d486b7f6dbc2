"""Models made ready to run: the only part of the program that touches ONNX Runtime."""
