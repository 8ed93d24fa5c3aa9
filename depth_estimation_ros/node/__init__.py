"""The lifecycle node: parameters, subscriptions, the path of a frame, publishers."""
