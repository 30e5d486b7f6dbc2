"""Networks that paint a picture in one pass."""
