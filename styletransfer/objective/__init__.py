"""What is minimised: loss terms over the features of a network, and their gradient."""
