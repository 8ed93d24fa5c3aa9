"""A running node or a recording in Rerun: `view`."""
