"""Looks at data sets before a training run is spent on them."""
