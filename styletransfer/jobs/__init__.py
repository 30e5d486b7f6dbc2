"""What is to be made, as values: planned, made here, stored in the result and repeated."""
