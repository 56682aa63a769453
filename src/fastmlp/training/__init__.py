"""The training that `fit` does: its plan, its loop, checkpoints, and what is shown on the way."""
