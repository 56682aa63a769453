"""The implementation of `Network.fit`: its arguments, sources of rows, loop, checkpoints and progress display."""
