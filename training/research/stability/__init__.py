"""How depth flickers and lags while a camera moves, and what smoothing over time would change."""
