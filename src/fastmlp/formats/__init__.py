"""Files: reading and writing models and checkpoints, and replacing a file atomically."""
