"""``mymodel.py:Net``: a module that the user's code makes."""

import ast
import contextlib
import difflib
import importlib.util
import inspect
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from edgeflow.errors import CompressError, EdgeFlowError
from edgeflow.importers.checkpoint_weights import is_lazy, load_weights
from edgeflow.importers.messages import raised

#: Names that a message lists.
_LISTED = 6


def load_module(
    text: str, checkpoint: str | Path | None = None, *, untrained: bool = True
) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the module that ``file.py:Name`` stands for, with the weights of a checkpoint.

    Name is a class that needs no arguments, a function that returns a module, or a module. What
    the file's code prints goes to stderr, and it leaves the generators of random numbers alone.

    Parameters
    ----------
    text : str
    checkpoint : path, optional
        Weights, as `load_weights` reads them.
    untrained : bool
        Whether weights may be random without a checkpoint. If not, the module is made twice, from
        other seeds: weights that differ then are random.

    Returns
    -------
    module : nn.Module
    notes : tuple of str
        What was guessed, a line each.

    Raises
    ------
    CompressError
        If there is no such file or name, its code fails, or the weights are not its own.
    """
    file, name = split(text)
    module = _made(file, name, 0)
    check_layers_show(text, module)
    if checkpoint is not None:
        return module, load_weights(module, Path(checkpoint))
    if not untrained and (weights := _random_weights(module, _made(file, name, 1))):
        raise CompressError(
            f"{text}: its weights are random ({weights}): give those it was trained to, "
            "--checkpoint net.pt (checkpoint=), or --untrained (untrained=True) to compress it "
            "as it is"
        )
    if is_lazy(module):
        raise CompressError(
            f"{text}: the sizes of its lazy layers are not known yet: give --checkpoint, or call "
            "it once on zeros [n, time, channels] in the function that makes it"
        )
    return module, ()


def check_layers_show(text: str, module: nn.Module) -> None:
    """Refuse modules that hide their layers or have integer ones already."""
    for name, part in module.named_modules():
        where = f"its part '{name}' is" if name else "it is"
        if isinstance(part, torch.jit.ScriptModule):
            raise CompressError(
                f"{text}: {where} a torch.jit module, which hides its layers: give the nn.Module "
                "that it was made from, before torch.jit.script or trace"
            )
        if ".quantized" in type(part).__module__ or ".qat." in type(part).__module__:
            raise CompressError(
                f"{text}: {where} quantized already ({type(part).__name__}): give the nn.Module "
                "from before quantize_dynamic or convert"
            )


def split(text: str) -> tuple[Path, str]:
    """Return file and name of ``file.py:Name``.

    Raises
    ------
    CompressError
        If there is no such file, or no name; those in it are listed.
    """
    name = ""
    if not text.endswith(".py"):
        text, _, name = text.rpartition(":")
    path = Path(text)
    if not path.is_file():
        near = difflib.get_close_matches(path.name, _python_files(path.parent), n=1)
        raise CompressError(
            f"{path}: no such file" + (f": is it {path.with_name(near[0])}?" if near else "")
        )
    if not name:
        found = _suggested(path)
        raise CompressError(
            f"{path}: name the model in it: {' or '.join(f'{path}:{one}' for one in found)}"
            if found
            else f"{path}: there is no class of a torch.nn.Module in it, and no function that "
            "could return one"
        )
    return path, name


def _python_files(folder: Path) -> list[str]:
    return [file.name for file in folder.glob("*.py")] if folder.is_dir() else []


def _suggested(path: Path) -> list[str]:
    """Return names of module classes and of functions without arguments, by the text alone."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        raise CompressError(f"{path}: {raised(error, path)}") from error
    classes: list[str] = []
    functions: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            if any(base.endswith(("Module", "Sequential")) or base in classes for base in bases):
                classes.append(node.name)
        elif isinstance(node, ast.FunctionDef) and len(node.args.defaults) == len(node.args.args):
            functions.append(node.name)
    return [*classes, *functions][:_LISTED]


def _made(path: Path, name: str, seed: int) -> nn.Module:
    """Run the file and make the module."""
    with _seeded(seed), contextlib.redirect_stdout(sys.stderr):
        try:
            with _importable(path) as python:
                made = _named(python, path, name)
        except EdgeFlowError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's code raises
            raise CompressError(f"{path}:{name}: {raised(error, path)}") from error
    if not isinstance(made, nn.Module):
        raise CompressError(f"{path}:{name} gives a {type(made).__name__}, not a torch.nn.Module")
    return made


@contextlib.contextmanager
def _importable(path: Path) -> Iterator[ModuleType]:
    """Run a file; what stands beside it can be imported until the end."""
    spec = importlib.util.spec_from_file_location(f"edgeflow_user_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    python = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = python
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(python)
        yield python
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _named(python: ModuleType, path: Path, name: str) -> Any:
    """Return the module of a name, or what the name makes."""
    if not hasattr(python, name):
        names = [key for key, value in vars(python).items() if callable(value) or key == name]
        near = difflib.get_close_matches(name, names, n=1) or _suggested(path)
        there = f": there is {', '.join(near)}" if near else ""
        raise CompressError(f"{path}: there is no '{name}' in it{there}")
    found = getattr(python, name)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise CompressError(
            f"{path}:{name} is a {type(found).__name__}: name a class of a torch.nn.Module, or a "
            "function that returns one"
        )
    needed = _needed(found)
    if needed:
        raise CompressError(
            f"{path}:{name} needs arguments ({', '.join(needed)}): write a function without any "
            f"that returns it, def make(): return {name}({needed[0]}=...), and name that: "
            f"{path}:make"
        )
    return found()


def _needed(function: Any) -> list[str]:
    """Return the names of arguments without a default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of what is not written in Python
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in optional]


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators of random numbers; put them back."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _random_weights(module: nn.Module, again: nn.Module) -> str:
    """Return which weights of a module that was made twice differ, as text; "" if none does."""
    first, second = module.state_dict(), again.state_dict()
    random_ones = [
        key
        for key, value in first.items()
        if isinstance(value, torch.Tensor) and not _same(value, second.get(key))
    ]
    if not random_ones:
        return ""
    more = len(random_ones) - 1
    return random_ones[0] + (f" and {more} more" if more else "")


def _same(value: torch.Tensor, other: Any) -> bool:
    if nn.parameter.is_lazy(value):
        return False
    if not isinstance(other, torch.Tensor) or value.shape != other.shape:
        return False
    return bool(((value == other) | (value.isnan() & other.isnan())).all())
