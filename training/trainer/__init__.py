"""What a run needs around the network: data loaders, processes, callbacks, its folder."""
