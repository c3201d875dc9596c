import io
import json
import logging
import os
import pickle
import sys
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from interpret_segmentation.models.files import ExportedModel, OnnxModel, load_model

pytestmark = pytest.mark.slow

ANY = torch.export.Dim.DYNAMIC


class Net(nn.Module):
    """Has what a file must carry along: weights, a buffer, a constant, a block without gradients."""

    def __init__(self, axes=2, channels=1):
        super().__init__()
        kind = {2: nn.Conv2d, 3: nn.Conv3d}[axes]
        torch.manual_seed(axes)
        self.inner = kind(channels, 3, 3, padding=1)
        self.outer = kind(3, 1, 1)
        self.pool = {2: nn.MaxPool2d, 3: nn.MaxPool3d}[axes](2)
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("scale", torch.tensor([0.7]))
        self.constant = torch.arange(3.0)

    def forward(self, images):
        features = self.inner(images).relu()
        with torch.no_grad():
            gain = self.constant.sum() * self.scale
        pooled = nn.functional.interpolate(self.pool(features), size=images.shape[2:])
        return (self.outer(self.dropout(features + pooled)) * gain).sigmoid()


def batch_of(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(7))


def scripted(model, path, example=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.script(model) if example is None else torch.jit.trace(model, example)
        module.save(str(path))
    return path


def program_of(model, example, dynamic=()):
    shapes = (dict.fromkeys(dynamic, ANY),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(model, (example,), dynamic_shapes=shapes)


def exported(model, path, example, dynamic=()):
    with path.open("wb") as file:
        torch.export.save(program_of(model, example, dynamic), file)
    return path


def same(answer, wanted):
    torch.testing.assert_close(answer, wanted, rtol=1e-5, atol=1e-6)


# functions


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets_of_mine").mkdir()
    (tmp_path / "nets_of_mine" / "__init__.py").touch()
    (tmp_path / "nets_of_mine" / "unet.py").write_text(
        "from torch import nn\n"
        "def build():\n    from nets_of_mine import late\n    return nn.Conv2d(1, 1, 1)\n"
        "def build_wide(width, depth=2):\n    return nn.Conv2d(1, width, 1)\n"
        "def build_nothing():\n    return None\n"
        "def build_class():\n    return nn.Conv2d\n"
        "class Zoo:\n    @staticmethod\n    def small():\n        return nn.Conv2d(1, 1, 1)\n"
        "ready = nn.Conv2d(1, 1, 3)\n"
        "number = 3\n"
    )
    (tmp_path / "nets_of_mine" / "late.py").touch()
    (tmp_path / "nets_of_mine" / "broken.py").write_text("import a_library_nobody_has\n")
    (tmp_path / "nets_of_mine" / "stale.py").write_text("from torch import no_such_name\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("nets_of_mine")]:
        del sys.modules[name]


@pytest.mark.usefixtures("package")
def test_a_function_in_the_current_folder_builds_the_model_and_the_search_path_stays_as_it_was():
    before = list(sys.path)
    assert isinstance(load_model("nets_of_mine.unet:build"), nn.Conv2d)
    assert isinstance(load_model("nets_of_mine.unet:Zoo.small"), nn.Conv2d)
    with pytest.raises(ImportError):
        load_model("nets_of_mine.broken:build")
    assert sys.path == before


@pytest.mark.usefixtures("package")
def test_a_module_that_exists_already_is_taken_as_it_is():
    model = load_model("nets_of_mine.unet:ready")
    assert model is sys.modules["nets_of_mine.unet"].ready


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    "source", ["nets_of_mine.vnet:build", "no_such_package.unet:build", "nets_of_mine.unet.x:f"]
)
def test_a_module_that_is_not_there_is_named(source):
    with pytest.raises(ModuleNotFoundError, match=f"there is no module '{source.partition(':')[0]}'"):
        load_model(source)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("module", "missing"), [("broken", "a_library_nobody_has"), ("stale", "no_such_name")]
)
def test_a_failing_import_inside_the_module_is_told_apart_from_a_missing_module(module, missing):
    with pytest.raises(ImportError, match=f"'nets_of_mine.{module}' was found.*{missing}"):
        load_model(f"nets_of_mine.{module}:build")


@pytest.mark.usefixtures("package")
def test_a_misspelt_function_comes_with_the_names_that_are_close():
    with pytest.raises(AttributeError, match=r"has no 'biuld'; did you mean 'build'"):
        load_model("nets_of_mine.unet:biuld")
    with pytest.raises(AttributeError, match=r"has no 'Zoo.large'$"):
        load_model("nets_of_mine.unet:Zoo.large")


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("build_wide", "callable without arguments.*'width'"),
        ("build_nothing", "must return a model that can be called, got None"),
        ("build_class", "must return a model that can be called, got <class"),
        ("number", "must be a function that returns the model, got 3"),
    ],
)
def test_what_builds_no_model_is_a_type_error(name, message):
    with pytest.raises(TypeError, match=message):
        load_model(f"nets_of_mine.unet:{name}")


@pytest.mark.skipif(sys.platform == "win32", reason="a colon is no part of a file name there")
def test_a_file_that_has_a_functions_name_goes_first(package):
    (package / "nets_of_mine.unet:build").write_bytes(b"\x80\x04.")
    with pytest.raises(ValueError, match="pickled"):
        load_model("nets_of_mine.unet:build")


@pytest.mark.parametrize("source", ["C:\\models\\unet.pt", "C:/models/unet.pt", "models/unet", "unet.onnx"])
def test_a_file_that_is_not_there_is_not_taken_for_a_function(source):
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        load_model(source)
    with pytest.raises(FileNotFoundError):
        load_model(Path(source))


@pytest.mark.parametrize("source", ["unet", "my-nets:build", "nets.unet.build", "nets:", ":build", "a:b:c"])
def test_what_is_neither_a_file_nor_a_functions_name_is_told_both_ways(source):
    with pytest.raises(
        ValueError, match=r"existing file or 'package.module:function'.*there is no such file"
    ):
        load_model(source)


def test_a_model_itself_is_no_source():
    with pytest.raises(TypeError, match=r"path or 'package.module:function', got Conv2d"):
        load_model(nn.Conv2d(1, 1, 1))


# TorchScript


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("name", ["net.ts", "net.pt", "net"])
def test_torchscript_answers_as_the_network_does_under_any_ending(tmp_path, axes, name):
    network, batch = Net(axes).eval(), batch_of(2, 1, *(8, 6, 10)[:axes])
    model = load_model(scripted(network, tmp_path / name, batch))
    same(model(batch), network(batch))
    assert [tuple(weight.shape) for weight in model.parameters()] == [
        tuple(w.shape) for w in network.parameters()
    ]
    model.train().eval()
    same(model(batch), network(batch))


class Saves(nn.Module):
    path: str

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        torch.save(images, self.path)
        return images


def test_torchscript_that_writes_files_is_refused(tmp_path):
    path = scripted(Saves(str(tmp_path / "written")), tmp_path / "net.pt")
    with pytest.raises(ValueError, match="reads or writes files"):
        load_model(path)
    assert not (tmp_path / "written").exists()


# torch.export


@pytest.mark.parametrize(
    ("axes", "dynamic", "shape"),
    [(2, (), (1, 1, 8, 6)), (2, (0, 2, 3), (None, 1, None, None)), (3, (0,), (None, 1, 8, 6, 10))],
)
@pytest.mark.parametrize("name", ["net.pt2", "net.bin"])
def test_an_exported_program_answers_as_the_network_does(tmp_path, axes, dynamic, shape, name):
    network, example = Net(axes).eval(), batch_of(2 if dynamic else 1, 1, *(8, 6, 10)[:axes])
    model = load_model(str(exported(network, tmp_path / name, example, dynamic)))
    assert isinstance(model, ExportedModel)
    assert model.input_shape == shape
    batch = batch_of(*(size or given for size, given in zip(shape, (5, 1, 12, 7, 0), strict=False)))
    same(model(batch), network(batch))


def test_an_exported_model_survives_train_and_eval_and_shows_its_weights(tmp_path):
    network, batch = Net().eval(), batch_of(1, 1, 8, 6)
    model = load_model(exported(network, tmp_path / "net.pt2", batch))
    assert sum(weight.numel() for weight in model.parameters()) == sum(
        w.numel() for w in network.parameters()
    )
    assert any(torch.equal(buffer, network.scale) for buffer in model.buffers())
    wrapped = nn.Sequential(model, nn.Identity()).train()
    assert model.training
    same(wrapped(batch), network(batch))
    same(wrapped.eval()(batch), network(batch))
    assert not model.training


def test_an_exported_model_refuses_images_of_a_size_it_was_not_exported_for(tmp_path):
    model = load_model(exported(Net().eval(), tmp_path / "net.pt2", batch_of(1, 1, 8, 6)))
    with pytest.raises(RuntimeError, match="to be equal to 8, but got 9"):
        model(batch_of(1, 1, 9, 6))


class Odd(nn.Module):
    """Uses the more unusual words of the export format: a branch, autocast, text, arithmetic of sizes."""

    def forward(self, images):
        h, w = images.shape[2:]
        grown = torch.nn.functional.pad(images, (0, (-w) % 4, 0, (-h) % 4))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            product = torch.einsum("bchw,bchw->bhw", grown, grown)
        halved = torch.nn.functional.avg_pool2d(product.float()[:, None], 2, ceil_mode=True)
        doubled = nn.functional.interpolate(halved, size=(h, w), mode="bilinear")
        return torch.cond(doubled.mean() > 0.5, lambda x: x.sin(), lambda x: x.cos(), (doubled,))


def test_an_exported_program_with_branches_autocast_and_arithmetic_of_sizes_is_opened(tmp_path):
    model = load_model(exported(Odd(), tmp_path / "net.pt2", batch_of(2, 1, 9, 7), (0, 2, 3)))
    assert model.input_shape == (None, 1, None, None)
    same(model(batch_of(3, 1, 10, 13)), Odd()(batch_of(3, 1, 10, 13)))


class TwoInputs(nn.Module):
    def forward(self, images, prior):
        return images * prior


def test_an_exported_program_with_two_inputs_names_them(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(TwoInputs(), (batch_of(1, 1, 4, 5), batch_of(1, 1, 4, 5)))
        torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(ValueError, match="takes 2: images, prior"):
        load_model(tmp_path / "net.pt2")


def old_layout(path, program, **parts):
    """A torch.export file as PyTorch wrote it before 2.8, with some of its parts exchanged."""
    from torch._export.serde.schema import SCHEMA_VERSION
    from torch._export.serde.serialize import serialize

    whole = serialize(program)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", ".".join(map(str, SCHEMA_VERSION)))
        archive.writestr(
            "serialized_exported_program.json", parts.get("exported_program", whole.exported_program)
        )
        archive.writestr("serialized_state_dict.pt", parts.get("state_dict", whole.state_dict))
        archive.writestr("serialized_constants.pt", parts.get("constants", whole.constants))
        archive.writestr("serialized_example_inputs.pt", parts.get("example_inputs", whole.example_inputs))
    return path


def test_an_exported_program_in_the_older_layout_answers_as_the_network_does(tmp_path):
    network, batch = Net().eval(), batch_of(2, 1, 8, 6)
    model = load_model(old_layout(tmp_path / "net.pt2", program_of(network, batch, (0,))))
    assert model.input_shape == (None, 1, 8, 6)
    same(model(batch_of(3, 1, 8, 6)), network(batch_of(3, 1, 8, 6)))


# torch.export files that mean harm


class Bomb:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def program():
    return program_of(Net().eval(), batch_of(2, 1, 8, 6), (0, 2))


@pytest.fixture(scope="module")
def entries(program):
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def written(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"net/{name}", content)
    return path


def with_payload(entries, kind, path_name, payload):
    """The entries, with one weight or constant replaced by a pickled payload."""
    config_name = f"data/{kind}/model_{kind}_config.json"
    config = json.loads(entries[config_name])
    first = next(iter(config["config"].values()))
    first.update(path_name=path_name, use_pickle=True)
    return {**entries, config_name: json.dumps(config).encode(), f"data/{kind}/{path_name}": payload}


def with_program(entries, change):
    model = json.loads(entries["models/model.json"])
    change(model)
    return {**entries, "models/model.json": json.dumps(model).encode()}


def pickled_weight(entries, marker):
    return with_payload(entries, "weights", "weight_77", saved(Bomb(marker)))


def pickled_constant(entries, marker):
    return with_payload(entries, "constants", "tensor_77", saved(Bomb(marker)))


def opaque_constant(entries, marker):
    return with_payload(entries, "constants", "opaque_obj_0", pickle.dumps(Bomb(marker)))


def sample_inputs(entries, marker):
    return {**entries, "data/sample_inputs/model.pt": saved(((Bomb(marker),), {}))}


def weights_of_old(entries, marker):
    return {**entries, "data/weights/model.pt": saved({"inner.weight": Bomb(marker)})}


def constants_of_old(entries, marker):
    return {**entries, "data/constants/model.pt": saved({"constant": Bomb(marker)})}


def size_that_runs(entries, marker):
    def change(model):
        images = model["graph_module"]["graph"]["tensor_values"]["images"]
        images["sizes"][0]["as_expr"]["expr_str"] = f"__import__('os').mkdir({str(marker)!r})"

    return with_program(entries, change)


def size_in_a_tensor_called_metadata(entries, marker):
    def change(model):
        graph = model["graph_module"]["graph"]
        graph["tensor_values"]["metadata"] = graph["tensor_values"]["images"]
        text = json.dumps(graph).replace('{"name": "images"}', '{"name": "metadata"}')
        graph.update(json.loads(text))
        graph["tensor_values"]["metadata"]["sizes"][0]["as_expr"]["expr_str"] = (
            f"__import__('os').mkdir({str(marker)!r})"
        )

    return with_program(entries, change)


def guard_that_runs(entries, marker):
    def change(model):
        model["guards_code"] = [f"[__import__('os').mkdir({str(marker)!r}), True][1]"]

    return with_program(entries, change)


def stranger(marker):
    """A module that lies beside the file, for attacks that only get as far as an import."""
    (marker.parent / "module_of_a_stranger.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")
    return "module_of_a_stranger"


def buffer_name_that_runs(entries, marker):
    name = json.dumps(f'scale", __import__("{stranger(marker)}"))#')[1:-1]
    changed = ("models/model.json", "data/weights/model_weights_config.json")
    return {**entries, **{key: entries[key].replace(b'"scale"', f'"{name}"'.encode()) for key in changed}}


def structure_that_imports(entries, marker):
    context = {
        "default_factory_module": stranger(marker),
        "default_factory_name": "x",
        "dict_context": [],
    }
    spec = {"type": "collections.defaultdict", "context": context, "children_spec": []}

    def change(model):
        call = model["graph_module"]["module_call_graph"][0]["signature"]
        call["out_spec"] = json.dumps([1, spec])

    return with_program(entries, change)


ATTACKS = [
    pickled_weight,
    pickled_constant,
    opaque_constant,
    sample_inputs,
    weights_of_old,
    constants_of_old,
    size_that_runs,
    size_in_a_tensor_called_metadata,
    buffer_name_that_runs,
    structure_that_imports,
]


@pytest.fixture
def unheard():
    """The module's guards and logs are of no interest here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def open_carelessly(path):
    with suppress(Exception), path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.load(file).module()(batch_of(2, 1, 8, 6))
    torch.set_grad_enabled(True)  # which a program that fails half-way leaves off


@pytest.mark.usefixtures("unheard")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_nothing_in_an_exported_program_runs_and_the_file_is_refused(tmp_path, monkeypatch, entries, attack):
    monkeypatch.syspath_prepend(tmp_path)
    marker = tmp_path / "marker"
    path = written(tmp_path / "net.pt2", attack(entries, marker))
    with pytest.raises(ValueError, match=r"net.pt2 is refused: it holds .* save the network as TorchScript"):
        load_model(path)
    assert not marker.exists()
    open_carelessly(path)
    assert marker.exists(), "the attack is none: opened carelessly it does nothing either"
    sys.modules.pop("module_of_a_stranger", None)


@pytest.mark.usefixtures("unheard")
@pytest.mark.parametrize("part", ["state_dict", "constants", "example_inputs"])
def test_nothing_in_an_exported_program_of_the_older_layout_runs(tmp_path, program, part):
    marker = tmp_path / "marker"
    path = old_layout(tmp_path / "net.pt2", program, **{part: saved({"inner.weight": Bomb(marker)})})
    with pytest.raises(ValueError, match="is refused: it holds pickled objects"):
        load_model(path)
    assert not marker.exists()
    open_carelessly(path)
    assert marker.exists()


@pytest.mark.usefixtures("unheard")
def test_code_in_the_program_of_the_older_layout_does_not_run(tmp_path, program):
    marker = tmp_path / "marker"
    with zipfile.ZipFile(old_layout(tmp_path / "good.pt2", program)) as archive:
        entries = {"models/model.json": archive.read("serialized_exported_program.json")}
    evil = size_that_runs(entries, marker)["models/model.json"]
    path = old_layout(tmp_path / "net.pt2", program, exported_program=evil)
    with pytest.raises(ValueError, match=r'is refused: it holds "__import__.* as expr_str'):
        load_model(path)
    assert not marker.exists()
    open_carelessly(path)
    assert marker.exists()


@pytest.mark.usefixtures("unheard")
def test_guards_of_an_exported_program_are_not_run(tmp_path, entries):
    marker = tmp_path / "marker"
    path = written(tmp_path / "net.pt2", guard_that_runs(entries, marker))
    same(load_model(path)(batch_of(2, 1, 8, 6)), Net().eval()(batch_of(2, 1, 8, 6)))
    assert not marker.exists()
    open_carelessly(path)
    assert marker.exists()


@pytest.mark.parametrize(
    "name", ["data/aotinductor/model/net.so", "data/constants/custom_obj_0", "Models/Model.json"]
)
def test_an_exported_program_with_libraries_or_custom_objects_is_refused(tmp_path, entries, name):
    with pytest.raises(ValueError, match=f"refused: it holds the entry '{name}'"):
        load_model(written(tmp_path / "net.pt2", {**entries, name: b"x"}))


@pytest.mark.parametrize(
    "target",
    [
        *("torch.os.system", "torch.ops.load_library", "torch.ops.aten.from_file.default", "torch.load"),
        *("torch.ops.aten.__class__.mro", "_operator.methodcaller", "math.fsum", "torch.sym_int.__call__"),
        *("torch.ops.aten.no_such_operator.default", "#other:op", "os.system", "torch.ops.aten.add"),
    ],
)
def test_only_operators_on_tensors_and_sizes_are_looked_up(tmp_path, entries, target):
    def as_node(model):
        model["graph_module"]["graph"]["nodes"][0]["target"] = target

    def as_argument(model):
        model["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {"as_operator": target}

    for change, key in ((as_node, "target"), (as_argument, "as_operator")):
        with pytest.raises(ValueError, match=f"refused: it holds .* as {key}"):
            load_model(written(tmp_path / "net.pt2", with_program(entries, change)))


@pytest.mark.parametrize(
    "size",
    ["eval('1')", "open", "S('open')('a1')", "(1).__class__", "s0 if s0 else exit()", "lambda: 1", "[1][0]"],
)
def test_only_arithmetic_is_a_size(tmp_path, entries, size):
    def change(model):
        images = model["graph_module"]["graph"]["tensor_values"]["images"]
        images["sizes"][0]["as_expr"]["expr_str"] = size

    with pytest.raises(ValueError, match=r"refused: it holds .* as expr_str"):
        load_model(written(tmp_path / "net.pt2", with_program(entries, change)))


def test_the_environment_and_the_logs_are_left_as_they_were(tmp_path, monkeypatch, entries):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    before, silenced = dict(os.environ), logging.root.manager.disable
    load_model(written(tmp_path / "good.pt2", entries))
    with pytest.raises(ValueError, match="refused"):
        load_model(written(tmp_path / "bad.pt2", pickled_weight(entries, tmp_path / "marker")))
    assert dict(os.environ) == before
    assert logging.root.manager.disable == silenced
    assert not (tmp_path / "marker").exists()


def test_an_exported_program_that_is_incomplete_says_so(tmp_path, entries):
    without = {name: content for name, content in entries.items() if "weight" not in name}
    with pytest.raises(ValueError, match=r"cannot be opened as a torch.export file"):
        load_model(written(tmp_path / "net.pt2", without))


# ONNX


@pytest.fixture
def onnx_file(tmp_path):
    """Builds `sigmoid(conv(x))` by hand; with it comes the convolution, to compare the answers with."""
    onnx = pytest.importorskip("onnx", reason="ONNX files are written with onnx")
    pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    kinds = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}

    def build(shape, *, dtype="float32", outputs=("mask",), extra=(), external=False):
        axes, channels = len(shape) - 2, shape[1]
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[axes](channels, 1, 3, padding=1)
        torch.manual_seed(3)
        nn.init.normal_(conv.weight)
        weights = [
            numpy_helper.from_array(value.detach().numpy().astype(dtype), name)
            for name, value in (("weight", conv.weight), ("bias", conv.bias))
        ]
        nodes = [helper.make_node("Conv", ["images", "weight", "bias"], ["logits"], pads=[1] * (2 * axes))]
        nodes.append(helper.make_node("Sigmoid", ["logits"], ["mask"]))
        nodes += [helper.make_node("Mul", ["mask", name], [f"unused_{name}"]) for name in extra]
        out_shape = [shape[0], 1, *shape[2:]]
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info(name, kinds[dtype], shape) for name in ("images", *extra)],
            [helper.make_tensor_value_info(name, kinds[dtype], out_shape) for name in outputs],
            weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / "net.onnx"
        onnx.save(model, path, save_as_external_data=external, size_threshold=0, location="net.data")
        return path, conv.eval()

    return build


@pytest.mark.parametrize(
    ("shape", "known", "batch"),
    [
        (["b", 2, "h", "w"], (None, 2, None, None), (3, 2, 7, 9)),
        (["b", 1, 5, 6, 7], (None, 1, 5, 6, 7), (2, 1, 5, 6, 7)),
        ([1, 2, 6, 9], (1, 2, 6, 9), (1, 2, 6, 9)),
    ],
)
@pytest.mark.parametrize("external", [False, True])
def test_an_onnx_model_answers_as_the_network_does(onnx_file, shape, known, batch, external):
    path, conv = onnx_file(shape, external=external)
    model = load_model(path)
    assert isinstance(model, OnnxModel)
    assert (model.input_shape, model.output_names) == (known, ("mask",))
    images = batch_of(*batch).requires_grad_()
    same(model(images), conv(images).sigmoid().detach())
    same(model(images.detach().transpose(-1, -2).contiguous().transpose(-1, -2)), model(images))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_a_fixed_batch_takes_any_number_of_images(onnx_file, size, count):
    path, conv = onnx_file([size, 1, 6, 9])
    images = batch_of(count, 1, 6, 9)
    same(load_model(path)(images), conv(images).sigmoid().detach())


def test_images_are_cast_to_float16_when_the_file_declares_it(onnx_file):
    path, conv = onnx_file(["b", 1, 6, 9], dtype="float16")
    answer = load_model(path)(batch_of(2, 1, 6, 9))
    assert answer.dtype == torch.float16
    wanted = conv(batch_of(2, 1, 6, 9)).sigmoid().detach()
    torch.testing.assert_close(answer.float(), wanted, rtol=2e-3, atol=2e-3)


def plain_onnx(path, node, kind, shape, out_kind=None, out_shape=None):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", out_kind or kind, shape if out_shape is None else out_shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_images_are_cast_to_double_when_the_file_declares_it(tmp_path):
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Sigmoid", ["x"], ["y"])
    model = load_model(plain_onnx(tmp_path / "n.onnx", node, onnx.TensorProto.DOUBLE, ["b", 1, 2, 3]))
    same(model(batch_of(1, 1, 2, 3)), batch_of(1, 1, 2, 3).double().sigmoid())


def test_whole_numbers_are_rounded_and_clipped_instead_of_wrapped(tmp_path):
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    model = load_model(plain_onnx(tmp_path / "n.onnx", node, onnx.TensorProto.UINT8, ["b", 1, 2, 3]))
    images = torch.tensor([-3.0, 0.4, 0.6, 254.7, 255.6, 300.0]).reshape(1, 1, 2, 3)
    assert model(images).flatten().tolist() == [0, 0, 1, 255, 255, 255]
    assert model(images.long()).flatten().tolist() == [0, 0, 0, 254, 255, 255]


def test_several_outputs_come_by_name(onnx_file):
    path, conv = onnx_file(["b", 1, 6, 9], outputs=("mask", "logits"))
    model, images = load_model(path), batch_of(2, 1, 6, 9)
    answer = model(images)
    assert list(answer) == list(model.output_names) == ["mask", "logits"]
    same(answer["logits"], conv(images).detach())
    same(answer["mask"], conv(images).sigmoid().detach())


def test_an_onnx_model_with_two_inputs_names_them(onnx_file):
    path, _ = onnx_file(["b", 1, 6, 9], extra=("prior",))
    with pytest.raises(ValueError, match="takes 2: images, prior"):
        load_model(path)


def test_images_of_another_size_or_number_of_channels_are_refused_with_both_sizes(onnx_file):
    model = load_model(onnx_file(["b", 3, 6, 9])[0])
    with pytest.raises(
        ValueError,
        match=r"images of 6 x 9 pixels, got 9 x 6; pass preprocess=Preprocess\(size=\(6, 9\)\), with",
    ):
        model(batch_of(2, 3, 9, 6))
    with pytest.raises(ValueError, match=r"wants 3 channels, got 1: its input is any x 3 x 6 x 9"):
        model(batch_of(2, 1, 6, 9))
    with pytest.raises(ValueError, match=r"wants a batch of any x 3 x 6 x 9, got 3 x 6 x 9"):
        model(batch_of(3, 6, 9))


def test_a_file_that_does_not_declare_its_sizes_takes_any(tmp_path):
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    model = load_model(plain_onnx(tmp_path / "n.onnx", node, onnx.TensorProto.FLOAT, None))
    assert model.input_shape == ()
    same(model(batch_of(2, 1, 6, 9)), batch_of(2, 1, 6, 9))


def test_a_fixed_batch_whose_answer_has_no_batch_axis_cannot_be_put_together(tmp_path):
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Squeeze", ["x"], ["y"])
    model = load_model(
        plain_onnx(tmp_path / "n.onnx", node, onnx.TensorProto.FLOAT, [1, 1, 6, 9], out_shape=[6, 9])
    )
    assert model(batch_of(1, 1, 6, 9)).shape == (6, 9)
    with pytest.raises(ValueError, match="its output y is 6 x 9, without an axis for them"):
        model(batch_of(2, 1, 6, 9))


def test_an_input_that_holds_no_numbers_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    path = plain_onnx(tmp_path / "n.onnx", node, onnx.TensorProto.STRING, ["b"])
    with pytest.raises(ValueError, match=r"input x must be a tensor of numbers, got tensor\(string\)"):
        load_model(path)


def test_nothing_is_printed_and_a_damaged_onnx_file_says_so(onnx_file, capfd):
    path, _ = onnx_file(["b", 1, 6, 9])
    load_model(path)(batch_of(1, 1, 6, 9))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="cannot be opened as ONNX"):
        load_model(path)
    assert "".join(capfd.readouterr()) == ""


def test_without_onnxruntime_the_cure_is_named(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"\x08\x08:")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r'pip install "interpret-segmentation\[onnx\]"'):
        load_model(tmp_path / "net.onnx")


# what is no model file


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickled_module_is_refused_and_never_unpickled(tmp_path, legacy):
    marker, path = tmp_path / "marker", tmp_path / "net.pt"
    torch.save(Bomb(marker), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match=r"is pickled.*package.module:function"):
        load_model(path)
    torch.save(nn.Conv2d(1, 1, 1), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match="is pickled"):
        load_model(path)
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 5])
def test_a_plain_pickle_is_refused_and_never_unpickled(tmp_path, protocol):
    marker, path = tmp_path / "marker", tmp_path / "net.pkl"
    path.write_bytes(pickle.dumps(Bomb(marker), protocol))
    with pytest.raises(ValueError, match=r"package.module:function"):
        load_model(path)
    assert not marker.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_dict_is_refused_as_weights_only(tmp_path, legacy):
    checkpoint = {"epoch": 3, "state": Net().state_dict()}
    torch.save(checkpoint, tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match=r"holds weights only.*package.module:function"):
        load_model(tmp_path / "net.pth")


def test_a_safetensors_file_is_refused_as_weights_only(tmp_path):
    from safetensors.torch import save_file

    save_file(Net().state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="holds weights only"):
        load_model(tmp_path / "net.safetensors")


def test_a_folder_and_an_empty_file_are_named_as_such(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load_model(tmp_path)
    (tmp_path / "net.pt").touch()
    with pytest.raises(ValueError, match="is empty"):
        load_model(tmp_path / "net.pt")


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n....", b"\xff\xd8\xff\xe0JFIF", b"import torch\n", bytes(100)]
)
def test_images_texts_and_rubbish_are_no_model_files(tmp_path, content):
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"is no model file: it begins with b'.*save the network as TorchScript"
    ):
        load_model(tmp_path / "file.pt")


def test_an_archive_that_is_cut_short_or_holds_no_model_says_so(tmp_path):
    path = scripted(nn.Conv2d(1, 1, 1).eval(), tmp_path / "net.pt", batch_of(1, 1, 4, 5))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="cut short or damaged"):
        load_model(path)
    np.savez(tmp_path / "arrays.npz", np.ones(3))
    with pytest.raises(ValueError, match="zip archive without a model"):
        load_model(tmp_path / "arrays.npz")


def test_damaged_torchscript_says_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/constants.pkl", b"x")
        archive.writestr("net/code/__torch__.py", b"class")
    with pytest.raises(ValueError, match="cannot be opened as TorchScript"):
        load_model(tmp_path / "net.pt")


FOREIGN = {
    "net.h5": b"\x89HDF\r\n\x1a\n00000000",
    "net.keras": b"PK\x03\x04000000000000",
    "weights.bin": b"\x1c\0\0\0TFL300000000",
    "net.tflite": b"0000000000000000",
    "saved_model.pb": b"\x08\x01\x12\xff0000000000",
    "frozen.pb": b"\n\x10\n\x01x00000000000",
    "net.mlmodel": b"\x08\x01\x12\x010000000000",
    "forest.joblib": b"\x80\x04\x95000000000000",
    "net.pdmodel": b"0000000000000000",
    "net.xml": b"<?xml version='1.0'?>",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_framework_is_told_how_to_be_wrapped(name, tmp_path):
    (tmp_path / name).write_bytes(FOREIGN[name])
    with pytest.raises(ValueError, match="which is not opened here; wrap it in a NumPy function") as raised:
        load_model(tmp_path / name)
    _, *lines = str(raised.value).splitlines()
    assert len(lines) == 3
    compile("\n".join(line.strip() for line in lines), "lines", "exec")


@pytest.mark.parametrize("name", ["saved", "net.mlpackage"])
def test_a_folder_of_another_framework_is_told_how_to_be_wrapped(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "saved_model.pb").touch()
    with pytest.raises(ValueError, match="wrap it in a NumPy function"):
        load_model(tmp_path / name)


@pytest.mark.parametrize(("name", "last"), [("net.h5", True), ("forest.joblib", True), ("net.xml", False)])
def test_the_lines_that_wrap_another_framework_work(name, last, tmp_path, monkeypatch):
    class Network:
        """Says how bright a pixel is, in each of the three ways that the lines ask."""

        def predict(self, images, verbose):
            return images[..., :1] + 0 * verbose

        def predict_proba(self, pixels):
            assert pixels.shape == (2 * 4 * 5, 3)
            return pixels[:, :1]

        def __call__(self, images):
            return [images[:, :1]]

    for framework in ("keras", "joblib", "openvino"):
        module = ModuleType(framework)
        module.models = SimpleNamespace(load_model=lambda _: Network())
        module.load = lambda _: Network()
        module.Core = lambda: SimpleNamespace(compile_model=lambda *_: Network())
        monkeypatch.setitem(sys.modules, framework, module)
    (tmp_path / name).write_bytes(FOREIGN[name])
    with pytest.raises(ValueError, match="wrap it") as raised:
        load_model(tmp_path / name)
    known = {}
    exec("\n".join(line.strip() for line in str(raised.value).splitlines()[1:]), known)  # noqa: S102
    batch = torch.rand(2, 3, 4, 5)
    answer = known["build"]()(batch)
    assert last is ("moveaxis" in str(raised.value))
    np.testing.assert_array_equal(answer, batch[:, :1])


def test_onnx_files_may_be_called_pb(tmp_path):
    (tmp_path / "net.pb").write_bytes(b"\x08\x0700000000000000")
    with pytest.raises((ValueError, ImportError), match=r"ONNX"):
        load_model(tmp_path / "net.pb")
