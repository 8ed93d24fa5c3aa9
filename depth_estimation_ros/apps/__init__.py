"""The command lines: replay, estimate_depth, demo, build_engine."""
