"""From what users pass to what the core takes: rows, targets, labels, weights, and what is known of columns."""
