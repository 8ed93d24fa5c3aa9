"""What the node counts, what it finds wrong with images, and what /diagnostics shows."""
