"""Files of other frameworks, which are not opened here: the error has the lines that do it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Foreign:
    """How a framework's file becomes a NumPy function.

    Attributes:
        name: Of what it holds.
        module: What is imported, as Python.
        opened: Opens the file ``{path}``, as Python.
        asked: Asks ``network`` about ``images``, as Python.
        last: Images and answers have their channels last.
    """

    name: str
    module: str
    opened: str
    asked: str
    last: bool = True

    def error(self, path: Path) -> ValueError:
        """The error for such a file."""
        images, answer = "np.asarray(batch)", self.asked
        if self.last:
            images, answer = f"np.moveaxis({images}, 1, -1)", f"np.moveaxis({answer}, -1, 1)"
        lines = (
            f"import numpy as np, {self.module}; network = {self.opened.replace('{path}', repr(str(path)))}",
            f"def segment(batch): images = {images}; return {answer}",
            "def build(): return segment",
        )
        return ValueError(
            f"{path} is {self.name}, which is not opened here; wrap it in a NumPy function, and pass that, "
            "or its name 'my_module:build' (what inputs and outputs are called, your network says):\n    "
            + "\n    ".join(lines)
        )


KERAS = Foreign(
    "a Keras model", "keras", "keras.models.load_model({path})", "network.predict(images, verbose=0)"
)
LITE = Foreign(
    "a TensorFlow Lite model",
    "tensorflow as tf",
    "tf.lite.Interpreter({path}).get_signature_runner()",
    "network(input=images)['output']",
)
SAVED = Foreign(
    "a TensorFlow SavedModel",
    "tensorflow as tf",
    "tf.saved_model.load({path}).signatures['serving_default']",
    "network(tf.constant(images))['output'].numpy()",
)
GRAPH = Foreign(
    "part of a TensorFlow model",
    "os.path, tensorflow as tf",
    "tf.saved_model.load(os.path.dirname({path})).signatures['serving_default']",
    "network(tf.constant(images))['output'].numpy()",
)
CORE_ML = Foreign(
    "a Core ML model",
    "coremltools",
    "coremltools.models.MLModel({path})",
    "network.predict({'input': images})['output']",
    last=False,
)
JOBLIB = Foreign(
    "a pickle of joblib, which runs whatever code it holds when it is opened",
    "joblib",
    "joblib.load({path})",
    "network.predict_proba(images.reshape(-1, images.shape[-1])).reshape(*images.shape[:-1], -1)",
)
PADDLE = Foreign(
    "a Paddle model",
    "paddle",
    "paddle.jit.load({path}.removesuffix('.pdmodel'))",
    "network(paddle.to_tensor(images)).numpy()",
    last=False,
)
OPENVINO = Foreign(
    "an OpenVINO model",
    "openvino",
    "openvino.Core().compile_model({path}, 'CPU')",
    "network(images)[0]",
    last=False,
)

ENDINGS = {
    ".h5": KERAS,
    ".hdf5": KERAS,
    ".keras": KERAS,
    ".tflite": LITE,
    ".pb": GRAPH,
    ".mlmodel": CORE_ML,
    ".mlpackage": CORE_ML,
    ".joblib": JOBLIB,
    ".pdmodel": PADDLE,
    ".xml": OPENVINO,
}
"""By what names of files and folders end with."""


def foreign(path: Path, head: bytes = b"") -> Foreign | None:
    """The framework whose file or folder this is, by content or name; None for what may be ours.

    Args:
        path: The file or folder.
        head: The first 16 bytes of a file.
    """
    if path.is_dir():
        return SAVED if (path / "saved_model.pb").exists() else ENDINGS.get(path.suffix.lower())
    if head.startswith(b"\x89HDF"):
        return KERAS
    if head[4:8] == b"TFL3":
        return LITE
    ending = path.suffix.lower()
    # ONNX files are called .pb, too; the first number of theirs is its version, of TensorFlow's a 1.
    onnx = ending == ".pb" and head.startswith(b"\x08") and head[1:2] != b"\x01"
    if onnx or (head.startswith(b"PK") and ending != ".keras"):
        return None
    return ENDINGS.get(ending)
