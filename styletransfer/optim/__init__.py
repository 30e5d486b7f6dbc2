"""Minimisers of a function over an image whose pixels are bounded."""
