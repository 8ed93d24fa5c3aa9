"""Networks in fewer bits: an ONNX file in, one that computes in float16 or int8 out, and a check.

TensorRT takes the precision from the ONNX file, so it is decided here and not by flags of a
builder: `half.to_half`, `quantize.to_int8`, and `parity.compare` for what it cost. Needs the
package `onnx`, which a robot that only runs engines can do without.
"""
