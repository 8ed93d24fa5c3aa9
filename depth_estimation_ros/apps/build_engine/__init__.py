"""The command build_engine: a TensorRT engine from ONNX, with what its precision costs shown."""
