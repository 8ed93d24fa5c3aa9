"""Networks of transformers, with random weights, become files that the node runs."""

import shutil

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import yaml

transformers = pytest.importorskip("transformers", reason="needs the extra `import`")

from training import pretrained  # noqa: E402
from training.__main__ import main  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
NECK = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8}
VIT = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
STAGES = {"out_indices": [1, 2, 3, 4], "reshape_hidden_states": False}


def depth_anything(kind, max_depth=20):
    backbone = transformers.Dinov2Config(**VIT, **STAGES, image_size=140, patch_size=14)
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=32,
        depth_estimation_type=kind,
        max_depth=max_depth,
        **NECK,
    )
    processor = transformers.DPTImageProcessor(
        size={"height": 70, "width": 70}, keep_aspect_ratio=True, ensure_multiple_of=14, **IMAGENET
    )
    return transformers.DepthAnythingForDepthEstimation(config), processor


def zoedepth():
    backbone = transformers.BeitConfig(
        **VIT,
        **STAGES,
        intermediate_size=64,
        image_size=64,
        use_relative_position_bias=True,
        use_absolute_position_embeddings=False,
    )
    config = transformers.ZoeDepthConfig(
        backbone_config=backbone,
        bottleneck_features=8,
        num_relative_features=8,
        bin_embedding_dim=8,
        **NECK,
    )
    processor = transformers.ZoeDepthImageProcessor(
        size={"height": 64, "width": 96}, ensure_multiple_of=32
    )
    return transformers.ZoeDepthForDepthEstimation(config), processor


def glpn():
    config = transformers.GLPNConfig(
        hidden_sizes=[8, 16, 40, 64], depths=[1] * 4, decoder_hidden_size=8, max_depth=80
    )
    return transformers.GLPNForDepthEstimation(config), transformers.GLPNImageProcessor()


def dpt():
    config = transformers.DPTConfig(
        **VIT, intermediate_size=64, image_size=64, backbone_out_indices=[0, 1, 2, 3], **NECK
    )
    processor = transformers.DPTImageProcessor(size={"height": 64, "width": 64})
    return transformers.DPTForDepthEstimation(config), processor


def depth_pro():
    vit = transformers.Dinov2Config(**VIT, patch_size=16, image_size=32)
    config = transformers.DepthProConfig(
        image_model_config=vit,
        patch_model_config=vit,
        fov_model_config=vit,
        patch_size=32,
        intermediate_hook_ids=[3, 1],
        intermediate_feature_dims=[8, 8],
        scaled_images_feature_dims=[16, 8, 8],
        fusion_hidden_size=8,
    )
    processor = transformers.DepthProImageProcessor(size={"height": 128, "width": 128})
    return transformers.DepthProForDepthEstimation(config), processor


FAMILIES = {
    "metric": lambda: depth_anything("metric"),
    "outdoor": lambda: depth_anything("metric", 80),
    "relative": lambda: depth_anything("relative"),
    "zoedepth": zoedepth,
    "glpn": glpn,
    "dpt": dpt,
    "depth_pro": depth_pro,
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """`checkpoint(family)` is the folder of one, made once."""
    made = {}

    def make(family):
        if family not in made:
            torch.manual_seed(0)
            network, processor = FAMILIES[family]()
            # As they begin, weights hardly let the image through.
            for name, weight in network.named_parameters():
                if weight.ndim > 1:
                    torch.nn.init.xavier_normal_(weight, 1.5)
                elif name.startswith("head") and name.endswith("bias"):
                    torch.nn.init.constant_(weight, 1.0)
            made[family] = tmp_path_factory.mktemp("checkpoints") / family
            network.save_pretrained(made[family])
            processor.save_pretrained(made[family])
            (made[family] / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Random\n")
        return made[family]

    return make


def run(*words):
    return main(["import-model", *map(str, words), "--no-recording"])


def card_of(path):
    properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return yaml.safe_load(properties["depth_estimation_ros.model_card"])


@pytest.mark.parametrize(
    ("family", "aspect", "size", "output", "made_for"),
    [
        ("metric", "4:3", (70, 98), ("metric_depth", "m", 20.0), "indoor"),
        ("metric", "16:9", (70, 126), ("metric_depth", "m", 20.0), "indoor"),
        ("outdoor", "4:3", (70, 98), ("metric_depth", "m", 80.0), "outdoor"),
        ("relative", "4:3", (70, 98), ("inverse_depth", "", 100.0), "any"),
        ("zoedepth", "4:3", (64, 96), ("metric_depth", "m", 10.0), "indoor"),
        ("glpn", "16:9", (416, 736), ("metric_depth", "m", 80.0), "outdoor"),
        ("dpt", "4:3", (64, 64), ("inverse_depth", "", 100.0), "any"),
        ("depth_pro", "4:3", (128, 128), ("inverse_depth", "1/m", 1000.0), "any"),
    ],
)
def test_a_family_becomes_a_file(
    checkpoint, tmp_path, capsys, family, aspect, size, output, made_for
):
    out = tmp_path / "x.onnx"
    assert run(checkpoint(family), "--aspect", aspect, "--out", out) == 0, capsys.readouterr().err
    card = card_of(out)
    assert (card["input"]["height"], card["input"]["width"]) == size
    assert tuple(card["output"][key] for key in ("kind", "unit", "max_depth")) == output
    assert (card["licence"], card["made_for"]) == ("apache-2.0", made_for)
    assert card["revision"].startswith("sha256:")
    assert "differs from the original by AbsRel" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]
    first = onnx.load(out).graph.node
    assert next(node.op_type for node in first if "image" in node.input) == "Cast"


@pytest.mark.parametrize("wrong", ["mean", "std", "bgr"])
def test_wrong_preprocessing_is_refused(checkpoint, tmp_path, capsys, monkeypatch, wrong):
    forward = pretrained.PretrainedDepth.forward

    def changed(self, image):
        if wrong == "bgr":
            image = image.flip(3)
        else:
            setattr(self, wrong, getattr(self, wrong) * 1.5)
        return forward(self, image)

    monkeypatch.setattr(pretrained.PretrainedDepth, "forward", changed)
    assert run(checkpoint("metric"), "--out", tmp_path / "x.onnx") == 1
    message = capsys.readouterr().err
    assert "is not the network of" in message
    assert "mean [0.485, 0.456, 0.406]" in message
    assert not list(tmp_path.iterdir())


def test_a_size_that_is_built_in_is_not_free(checkpoint, tmp_path, capsys):
    out = tmp_path / "x.onnx"
    assert run(checkpoint("metric"), "--free-size", "--out", out) == 1
    assert "leave out --free-size" in capsys.readouterr().err
    assert not out.exists()


def test_a_relative_network_is_not_called_metric(checkpoint, tmp_path, capsys):
    words = ["--kind", "metric_depth", "--out", tmp_path / "x.onnx"]
    assert run(checkpoint("relative"), *words) == 1
    assert "expected inverse_depth, relative: it has no unit" in capsys.readouterr().err


def test_a_network_without_licence_is_refused(checkpoint, tmp_path, capsys):
    folder = shutil.copytree(checkpoint("metric"), tmp_path / "bare")
    (folder / "README.md").unlink()
    out = tmp_path / "x.onnx"
    assert run(folder, "--out", out) == 1
    assert "give it with --licence" in capsys.readouterr().err
    assert run(folder, "--out", out, "--licence", "MIT") == 0
    assert card_of(out)["licence"] == "MIT"


def test_pickled_weights_are_refused(checkpoint, tmp_path, capsys):
    folder = shutil.copytree(checkpoint("metric"), tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    assert run(folder, "--out", tmp_path / "x.onnx") == 1
    message = capsys.readouterr().err
    assert "no weights in safetensors" in message
    assert "found pytorch_model.bin" in message


def test_a_checkpoint_with_missing_weights_is_refused(checkpoint, tmp_path, capsys):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(checkpoint("metric"), tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    encoder = {name: value for name, value in weights.items() if name.startswith("backbone")}
    save_file(encoder, folder / "model.safetensors", {"format": "pt"})
    assert run(folder, "--out", tmp_path / "x.onnx") == 1
    assert "the weights do not fill the network" in capsys.readouterr().err


def test_other_architectures_are_refused_by_name(tmp_path, capsys):
    for config, message in (
        (transformers.Dinov2Config(), "the architecture dinov2 does not estimate depth"),
        (transformers.PromptDepthAnythingConfig(), "it needs depth of a LiDAR"),
    ):
        config.save_pretrained(tmp_path / "folder")
        assert run(tmp_path / "folder", "--out", tmp_path / "x.onnx") == 1
        assert message in capsys.readouterr().err


def test_a_lens_that_does_not_suit_is_a_warning(checkpoint, tmp_path, capsys):
    camera = tmp_path / "camera.yaml"
    matrix = [293.2, 0.0, 320.0, 0.0, 293.2, 240.0, 0.0, 0.0, 1.0]  # 95 degrees
    fields = {
        "image_width": 640,
        "image_height": 480,
        "camera_matrix": {"rows": 3, "cols": 3, "data": matrix},
        "distortion_model": "plumb_bob",
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
    }
    camera.write_text(yaml.safe_dump(fields))
    assert run(checkpoint("metric"), "--camera", camera, "--out", tmp_path / "x.onnx") == 0
    assert "trained for 60 degrees, your camera has 95" in capsys.readouterr().out


def other_file(path, channels="rgb", rows=48):
    """A network in floats: depth is 1 m and the first colour's share of 4 m."""
    node = onnx.helper.make_node
    first = {"rgb": 0, "bgr": 2}[channels]
    graph = onnx.helper.make_graph(
        [
            node("Gather", ["pixels", "first"], ["colour"], axis=1),
            node("Mul", ["colour", "four"], ["scaled"]),
            node("Add", ["scaled", "one"], ["whole"]),
            node("Slice", ["whole", "start", "end", "axis"], ["distance"]),
            node("Identity", ["colour"], ["confidence"]),
        ],
        "other",
        [onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, [1, 3, 48, 64])],
        [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, None, None])
            for name in ("distance", "confidence")
        ],
        [
            onnx.numpy_helper.from_array(np.array(value, kind), name)
            for name, value, kind in (
                ("first", [first], np.int64),
                ("four", 4.0, np.float32),
                ("one", 1.0, np.float32),
                ("start", [0], np.int64),
                ("end", [rows], np.int64),
                ("axis", [2], np.int64),
            )
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


CARD = ["--kind", "metric_depth", "--max-depth", "5", "--licence", "MIT", "--output", "distance"]


def test_an_onnx_file_gets_its_card(tmp_path, capsys):
    path = other_file(tmp_path / "other.onnx")
    assert run(path, *CARD, "--mean", 0, 0, 0, "--std", 1, 1, 1) == 0, capsys.readouterr().err
    text = capsys.readouterr().out
    assert "input pixels: float [1, 3, 48, 64]" in text
    assert "--original can prove them" in text
    card = yaml.safe_load((tmp_path / "other.card.yaml").read_text())
    assert card["output"]["name"] == "distance"
    assert (card["input"]["layout"], card["input"]["height"]) == ("NCHW", 48)
    assert run(path) == 0  # with the card that it has now


def test_an_onnx_file_with_another_output_size_is_refused(tmp_path, capsys):
    path = other_file(tmp_path / "other.onnx", rows=24)
    assert run(path, *CARD) == 1
    message = capsys.readouterr().err
    assert "found 64x24 for an input of 64x48" in message
    assert not (tmp_path / "other.card.yaml").exists()


def test_what_a_graph_does_not_say_is_asked_for(tmp_path, capsys):
    assert run(other_file(tmp_path / "other.onnx")) == 1
    assert "nothing for --kind, --licence, --max-depth" in capsys.readouterr().err


def test_sky_is_infinitely_far(tmp_path):
    from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine

    path = other_file(tmp_path / "other.onnx")
    neutral = ["--mean", 0, 0, 0, "--std", 1, 1, 1]
    assert run(path, *CARD, *neutral, "--sky", "confidence") == 0
    engine = OnnxRuntimeEngine(path)
    share = np.broadcast_to(np.float32([0.25, 0.75]).repeat(32), (1, 3, 48, 64))
    depth = engine.infer(np.ascontiguousarray(share))
    engine.close()
    np.testing.assert_array_equal(depth[0, 0, [0, 63]], [2.0, np.inf])


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tensorrt_gets_the_depth_of_several_outputs_with_its_sky(tmp_path, rtx, precision):
    from depth_estimation_ros.apps.build_engine.command import main as build_engine
    from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
    from depth_estimation_ros.engines.tensorrt.make import network_of, read_model_file

    path = other_file(tmp_path / "other.onnx")
    neutral = ["--mean", 0, 0, 0, "--std", 1, 1, 1]
    assert run(path, *CARD, *neutral, "--sky", "confidence") == 0
    engine = OnnxRuntimeEngine(path)
    batch = np.random.default_rng(0).random((1, 3, 48, 64), np.float32)
    expected = engine.infer(batch)
    engine.close()
    session = ort.InferenceSession(network_of(read_model_file(path)).SerializeToString())
    (depth,) = session.run(None, {"pixels": batch})
    np.testing.assert_array_equal(depth[:, 0], expected)
    assert np.isinf(expected).mean() > 0.3

    (tmp_path / "images").mkdir()
    for index in range(6):
        image = np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), image)
    out = tmp_path / "x.engine"
    line = ["--model", path, "--precision", precision, "--calibration", tmp_path / "images"]
    line += ["--out", out, "--compute-capability", "8.6"]
    assert build_engine(list(map(str, line))) == 0
    assert out.stat().st_size > 1000


def exported_by_hand(folder, path):
    """The bare network of a checkpoint, whose user normalises the image: floats, planes, RGB."""
    network = transformers.AutoModelForDepthEstimation.from_pretrained(folder).eval()

    class Bare(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, pixels):
            return self.network(pixels).predicted_depth

    names = {"input_names": ["pixels"], "output_names": ["depth"], "opset_version": 17}
    torch.onnx.export(Bare(), torch.rand(1, 3, 70, 98), path, **names, dynamo=False)
    return path


@pytest.mark.parametrize(
    ("words", "code"),
    [([], 0), (["--color-order", "bgr"], 1), (["--std", "0.5", "0.5", "0.5"], 1)],
    ids=["right", "bgr", "std"],
)
def test_the_original_proves_the_preprocessing_of_a_file(checkpoint, tmp_path, capsys, words, code):
    path = exported_by_hand(checkpoint("metric"), tmp_path / "bare.onnx")
    card = ["--kind", "metric_depth", "--max-depth", "20", "--licence", "apache-2.0"]
    assert run(path, *card, *words, "--original", checkpoint("metric")) == code
    said = capsys.readouterr()
    if code == 0:
        assert "differs from the original by AbsRel" in said.out
        assert "--original can prove" not in said.out
    else:
        assert "is not the network of" in said.err
        assert not path.with_suffix(".card.yaml").exists()


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_tensorrt_builds_an_imported_transformer(checkpoint, tmp_path, rtx, precision):
    from depth_estimation_ros.apps.build_engine.command import main as build_engine

    out = tmp_path / "x.onnx"
    assert run(checkpoint("metric"), "--size", "98x70", "--out", out) == 0
    (tmp_path / "images").mkdir()
    for index in range(12):
        spots = np.random.default_rng(index).integers(0, 256, (6, 8, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), cv2.resize(spots, (98, 70)))
    for capability in ("8.6", "8.9"):
        line = ["--model", out, "--precision", precision, "--calibration", tmp_path / "images"]
        line += ["--out", tmp_path / "x.engine", "--compute-capability", capability]
        if precision == "int8":  # random weights lose more by rounding than trained ones may
            line += ["--force"]
        assert build_engine(list(map(str, line))) == 0


def test_the_node_publishes_an_imported_network(checkpoint, tmp_path, request):
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    from ros_helpers import info_of, red_image
    from sensor_msgs.msg import Image

    from depth_estimation_ros.estimation import resize_image
    from depth_estimation_ros.geometry.camera_model import CameraModel
    from depth_estimation_ros.messages import decode_depth, decode_image

    out = tmp_path / "x.onnx"
    assert run(checkpoint("metric"), "--size", "98x70", "--out", out) == 0
    tester, node = request.getfixturevalue("tester"), request.getfixturevalue("node")
    tester.bring(node, "active", model=str(out))
    depths = tester.collect(node, Image, "~/depth/image")
    red = np.random.default_rng(0).integers(0, 256, (70, 98), np.uint8)
    image = red_image(red, 70, 98)
    camera = CameraModel.from_intrinsics(90.0, 90.0, 48.5, 34.5, 98, 70)
    published = decode_depth(tester.result_of(node, image, depths, info_of(camera)))
    original = pretrained.load_checkpoint(str(checkpoint("metric")))
    expected = original.infer(resize_image(decode_image(image), 70, 98))
    inside = np.isfinite(published) & (expected > 0.01) & (expected < 19.9)
    assert inside.mean() > 0.05
    np.testing.assert_allclose(published[inside], expected[inside], rtol=1e-3)
