"""Style transfer by optimisation: from pictures and settings, through the stages, to a picture."""
