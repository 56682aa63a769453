"""Networks of other tools: read into a `Network`, and written out again. One module for each format, see chain.py."""
