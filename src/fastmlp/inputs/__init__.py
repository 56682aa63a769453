"""Conversion of what users pass into what the core takes: rows, targets, labels, weights, and names of columns."""
