"""Random number generators as hardware, one file per design."""
