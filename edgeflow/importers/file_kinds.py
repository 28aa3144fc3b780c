"""What a file or folder is, by its content and then its name, and the way in from there."""

import difflib
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

from edgeflow.importers.safetensors import is_safetensors

_EXPORT = "export the trained model as ONNX (torch.onnx.export, tf2onnx)"
_KERAS = "save the Keras model as .keras or .h5"
_CLASS = "give the model's class, too: mymodel.py:Net --checkpoint {path}"

#: By kind: what it is, and the way in.
_TEXTS = {
    "empty": "an empty file: write it again",
    "lfs": "a pointer of Git LFS, not the file: run 'git lfs pull'",
    "web": "a web page: the download went wrong",
    "torch": f"weights or objects saved by torch.save: {_CLASS}",
    "torch-legacy": f"weights or objects saved by torch.save: {_CLASS}",
    "safetensors": f"weights without a model (safetensors): {_CLASS}",
    "torchscript": "TorchScript (torch.jit.save), whose layers are hidden: give the nn.Module that "
    "was scripted, mymodel.py:Net --checkpoint net.pt, with torch.save(net.state_dict(), 'net.pt')",
    "pt2": "a program of torch.export: give it the suffix .pt2",
    "mar": "an archive of TorchServe: unpack it (it is a zip) and give the weights in it: "
    "mymodel.py:Net --checkpoint net.pt",
    "keras": "a Keras file: give it the suffix .keras",
    "npz": "arrays of numpy: data, or weights without a model: save weights by "
    "torch.save(net.state_dict(), 'net.pt') and give mymodel.py:Net --checkpoint net.pt",
    "zip": "a zip archive: unpack it and give the model in it",
    "hdf5": f"an HDF5 file: give a NIR graph the suffix .nir; or {_KERAS}",
    "pickle": "a pickle, which runs code when it is read, so it is not read: save the weights by "
    "torch.save(net.state_dict(), 'net.pt') and give mymodel.py:Net --checkpoint net.pt",
    "tflite": f"TensorFlow Lite, whose integers are made already: {_KERAS}, or {_EXPORT}",
    "tensorflow": f"TensorFlow: {_KERAS}, or export it by tf2onnx (python -m tf2onnx.convert)",
    "onnx": "an ONNX file: give it the suffix .onnx",
    "coreml": f"Core ML: {_EXPORT}",
    "tensorrt": f"an engine of TensorRT, made for one GPU: {_EXPORT}",
    "openvino": f"OpenVINO: {_EXPORT}",
    "gguf": "GGUF, for large language models: EdgeFlow takes recurrent models",
    "paddle": "PaddlePaddle: export it by paddle2onnx",
    "sklearn": "a file of joblib, which runs code when it is read: EdgeFlow takes recurrent models "
    "of PyTorch, ONNX, Keras or NIR",
    "notebook": "a notebook: put the model's class into a file mymodel.py and give mymodel.py:Net",
    "data": "data: give it as --data, and a model as MODEL",
    "settings": "a text of settings: give the model itself, mymodel.py:Net --checkpoint net.pt",
    "c": "C code: give the model that it was made of",
    "build": "a build of 'edgeflow compile': give the trained model",
    "huggingface": "a folder of weights: give the model's class, too: mymodel.py:Net --checkpoint "
    "{path}/model.safetensors",
    "folder": "a folder without a model.pt: no run of 'edgeflow train'",
    "": "no kind of model that is known: give a folder of 'edgeflow train', mymodel.py:Net, or a "
    "file of ONNX, torch.export, Keras or NIR",
}
#: Where the content does not tell.
_SUFFIXES = {
    ".tflite": "tflite", ".lite": "tflite", ".pb": "tensorflow", ".pbtxt": "tensorflow",
    ".mlmodel": "coreml", ".mlpackage": "coreml", ".engine": "tensorrt", ".plan": "tensorrt",
    ".trt": "tensorrt", ".mar": "mar", ".xml": "openvino", ".pdmodel": "paddle",
    ".pdparams": "paddle", ".joblib": "sklearn", ".ipynb": "notebook", ".csv": "data",
    ".parquet": "data", ".npy": "npz", ".json": "settings", ".yaml": "settings",
    ".yml": "settings", ".toml": "settings", ".c": "c", ".h": "c", ".onnx": "onnx",
    ".pkl": "pickle", ".pickle": "pickle", ".index": "tensorflow",
}  # fmt: skip
#: By the begin of a file, after so many bytes.
_MAGIC = (
    (0, b"version https://git-lfs", "lfs"),
    (4, b"TFL3", "tflite"),
    (0, b"\x89HDF\r\n\x1a\n", "hdf5"),
    (0, b"GGUF", "gguf"),
    (0, b"ftrt", "tensorrt"),
    # the number that torch.save wrote before it wrote zip files, and a pickle
    (0, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "torch-legacy"),
)
#: By what a folder holds.
_FOLDERS = (
    ("saved_model.pb", "tensorflow"),
    ("keras_metadata.pb", "tensorflow"),
    ("Manifest.json", "coreml"),
    ("model.safetensors", "huggingface"),
    ("program.onnx", "build"),
    ("model.c", "build"),
)


def kind_of(path: Path) -> str:
    """Return a word for what a file or folder is; "" if that is not known.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    if path.is_dir():
        return next((kind for name, kind in _FOLDERS if (path / name).exists()), "folder")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "empty"
    for offset, magic, kind in _MAGIC:
        if head[offset:].startswith(magic):
            return kind
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return "web"
    if head.startswith(b"PK"):
        return _kind_of_zip(path)
    if is_safetensors(head):
        return "safetensors"
    suffix = path.suffix.lower()
    if suffix not in (".joblib", ".onnx") and head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5":
        return "pickle"
    # ONNX begins with its version, then the name of what wrote it or the graph
    if suffix not in _SUFFIXES and head[0] == 8 and head[1] < 32 and head[2:3] in (b"\x12", b":"):
        return "onnx"
    return _SUFFIXES.get(suffix, "")


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "torch" if path.suffix.lower() in (".pt", ".pth", ".ckpt", ".bin") else "zip"
    ends = {name.rpartition("/")[2] for name in names}
    if "MAR-INF/MANIFEST.json" in names:
        return "mar"
    if "constants.pkl" in ends or any("/code/" in name for name in names):
        return "torchscript"
    if "archive_format" in ends or "serialized_exported_program.json" in ends:
        return "pt2"
    if "data.pkl" in ends:
        return "torch"
    if "model.weights.h5" in ends:
        return "keras"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def describe(path: Path, kind: str) -> str:
    """Return what a file of a kind is and the way in, for a message that begins with its path."""
    text = _TEXTS[kind].format(path=path)
    if kind == "folder" and (runs := _runs(path)):
        return f"{text}; there is one in {runs}"
    return text


def _runs(folder: Path) -> Path | None:
    found = sorted(folder.glob("*/model.pt"))
    return found[0].parent if found else None


def missing(path: Path, suffixes: Iterable[str]) -> str:
    """Return what to do about a model that is not there."""
    text, folder = str(path), path.parent
    module, _, name = text.replace("/", ".").rpartition("." if ":" not in text else ":")
    file = Path(module.replace(".", "/") + ".py")
    if module and name.isidentifier() and file.is_file():
        return f"no such file: for '{name}' of a Python file give {file}:{name}"
    if not folder.is_dir():
        return f"no such file: there is no folder {folder}"
    near = difflib.get_close_matches(path.name, [item.name for item in folder.iterdir()], n=2)
    if near:
        return f"no such file: is it {' or '.join(str(folder / name) for name in near)}?"
    return (
        "no such file: give a folder of 'edgeflow train', mymodel.py:Net, or a file with the "
        f"suffix {', '.join(suffixes)}"
    )
