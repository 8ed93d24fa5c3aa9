"""TensorRT engines: built from ONNX, kept in a cache with a sidecar, run through pycuda."""
