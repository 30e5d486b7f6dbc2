"""Films: frames that are painted one after the other, and hold together."""
