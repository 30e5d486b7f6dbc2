"""Films: read, surveyed for their shots, and written, with exact times."""
