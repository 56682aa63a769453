"""Files: how models and checkpoints are written and read, and how a file is replaced at once or not at all."""
