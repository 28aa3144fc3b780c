"""The order of a step: calls of matrix kernels, and loops that compute values.

Values are computed where they are used, in one loop with all others that can be: only what a matrix
reads and gives, and what would be computed again and again, is stored in between.
"""

import numpy as np

from edgeflow.codegen.memory import share
from edgeflow.codegen.tvm.body import Body
from edgeflow.codegen.tvm.intervals import fits
from edgeflow.codegen.tvm.reuse import nested_sums, repeated
from edgeflow.codegen.tvm.scalars import Builder, PiecesError, Region, Scalar, walk
from edgeflow.codegen.tvm.stages import Call, Loop, Task, array_key, nest
from edgeflow.codegen.tvm.values import Value
from edgeflow.errors import TargetError
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import round_up
from edgeflow.program.nodes import Node


class Plan:
    """The steps of a layer.

    Attributes
    ----------
    stages : list of Call and Loop
        In order.
    scratch : dict of str to int
        Elements of scratch memory by their type.
    """

    def __init__(self, node: Node, body: Body) -> None:
        self._node, self._body = node, body
        self._wanted = nested_sums(list(body.outputs.values()))  # values to be stored
        while True:
            self._start()
            self.stages = self._schedule()
            again = repeated(self.stages) - self._wanted
            if not again:
                break
            self._wanted |= again
        self.scratch = self._give_out()

    # what there is to do

    def _start(self) -> None:
        node = self._node
        self._regions = {
            name: Region("state", name, np.dtype(vector.dtype).name, round_up(vector.size))
            for name, vector in node.states.items()
        }
        self._regions["x"] = Region("x", "", "int16", round_up(node.inputs))
        for name, array in node.arrays().items():
            self._regions[name] = Region("array", name, array.dtype.name, array.size)
        self._stores: dict[int, Region] = {}
        self._tasks: list[Task] = []
        self._calls: list[Call] = []
        for name, value in self._body.outputs.items():
            region = self._regions.get(name) or Region("y", "", "int16", value.size)
            if value.op == "matvec" and region.kind == "y":
                self._call(value, region)
            else:
                everything = np.arange(value.size)
                self._add(value, everything, region, everything)

    def _stored(self, value: Value) -> Region | None:
        """Return where a value is in memory, after planning to store it if it is wanted there."""
        if value.id not in self._stores:
            if value.op == "matvec":
                self._call(value, Region("scratch", "", "int16", round_up(value.size)))
            elif value.id in self._wanted:
                self._store(value, Region("scratch", "", _dtype(value), round_up(value.size)))
        return self._in_memory(value)

    def _in_memory(self, value: Value) -> Region | None:
        """Return where a value is in memory already."""
        if value.op == "table":
            table = Region("table", value.key, "int16", value.size)
            return self._regions.setdefault(f"{value.key}_table", table)
        if value.op in ("input", "array"):
            return self._regions[value.key]
        return self._stores.get(value.id)

    def _call(self, value: Value, y: Region) -> None:
        (x,) = value.args
        cols = x.shape[-1]
        rows = x.size // cols
        self._stores[value.id] = y
        source = self._stored(x)
        if source is None or source.kind == "array" or (rows > 1 and cols % 4):
            pitch = round_up(cols)
            source = Region("scratch", "", "int16", rows * pitch, cols, pitch)
            self._store(x, source)
        distance = source.pitch if source.pitch > 1 else cols
        self._calls.append(Call(value.key, source, y, rows, distance, value.shape[-1]))

    def _store(self, value: Value, region: Region) -> None:
        self._stores[value.id] = region
        everything = np.arange(value.size)
        self._add(value, everything, region, region.place(everything))

    def _add(self, value: Value, source: Ints, region: Region, target: Ints) -> None:
        """Plan to store elements; each part of a concatenation is a task of its own."""
        try:
            root = Builder(self._body.graph, self._stored).scalar(value, source, computed=True)
        except PiecesError as pieces:
            groups = [pieces.groups == number for number in np.unique(pieces.groups)]
            if len(groups) == 1:
                raise self._error(value, "a sum runs over different parts") from None
            if len(groups) > 16:
                raise self._error(value, "it has many constants in one tensor") from None
            for group in groups:
                self._add(value, source[group], region, target[group])
            return
        scalars = list(walk([root]))
        task = Task(value, source, region, target)
        task.reads = dict.fromkeys(s.region for s in scalars if s.region is not None)
        task.shape = self._loop([task], [root]).shape
        self._tasks.append(task)

    def _loop(self, tasks: list[Task], roots: list[Scalar]) -> Loop:
        arrays = {array_key(task.target): task.target for task in tasks}
        for scalar in walk(roots):
            if scalar.op == "load":
                assert scalar.region is not None
                at = scalar.region.place(scalar.at)
                arrays[array_key(at)] = at
        found = nest(list(arrays.values()))
        if found is None:
            raise self._error(tasks[0].value, "elements do not lie at regular distances")
        return Loop(found[0], tasks, roots, dict(zip(arrays, found[1], strict=True)))

    # order

    def _schedule(self) -> list[Call | Loop]:
        waiting: list[Call | Task] = [*self._calls, *self._tasks]
        stages: list[Call | Loop] = []
        copies: list[Task] = []
        while waiting:
            missing = {item.region for item in waiting if item.region.kind == "scratch"}
            ready = [item for item in waiting if not missing.intersection(item.reads)]
            calls = [item for item in ready if isinstance(item, Call)]
            if calls:
                stages.append(calls[0])
                waiting.remove(calls[0])
                continue
            tasks = [item for item in ready if isinstance(item, Task)]
            group = next(filter(None, (self._together(task, tasks, waiting) for task in tasks)), [])
            if not group:
                # something still reads what the first one overwrites
                task = tasks[0]
                aside = Region("scratch", "", task.region.dtype, round_up(task.size))
                copies.append(self._copy(task, aside))
                task.region, task.target = aside, np.arange(task.size)
                group = [task]
            stages.append(self._fused(group))
            waiting = [item for item in waiting if item not in group]
        return [*stages, *(self._fused([copy]) for copy in copies)]

    def _together(self, first: Task, tasks: list[Task], waiting: list[Call | Task]) -> list[Task]:
        """Return the tasks that can run in one loop with the first one; none if it cannot run."""
        group = [t for t in tasks if t.shape == first.shape and t.size == first.size]
        while first in group:
            try:
                loop = self._fused(group)
            except PiecesError:
                return [first]
            late = [task for task in group if self._too_early(task, loop, waiting)]
            if loop.shape != first.shape:
                late = group[1:]
            if not late:
                return group
            group = [task for task in group if task not in late]
        return []

    def _too_early(self, task: Task, loop: Loop, waiting: list[Call | Task]) -> bool:
        """Tell whether `task`, in the loop, overwrites elements that are still to be read."""
        if task.region.kind != "state":
            return False
        if any(task.region in item.reads for item in waiting if item not in loop.tasks):
            return True
        when = np.full(task.region.size, task.size)
        when[task.target] = np.arange(task.size)
        for scalar in walk(loop.roots):
            if scalar.op == "load" and scalar.region is task.region:
                written = when[scalar.at].reshape(task.size, -1)
                if (written < np.arange(task.size)[:, None]).any():
                    return True
        return False

    def _fused(self, tasks: list[Task]) -> Loop:
        builder = Builder(self._body.graph, self._in_memory)
        roots = [builder.scalar(task.value, task.source, computed=True) for task in tasks]
        return self._loop(tasks, roots)

    def _copy(self, task: Task, source: Region) -> Task:
        """Return the task that moves what was put aside where it belongs."""
        moved = self._body.graph.view(task.value, task.source)
        name = self._body.graph.leaf("stored", f"{len(self._stores)}", moved.range)
        self._stores[name.id] = source
        everything = np.arange(task.size)
        copy = Task(name, everything, task.region, task.target)
        copy.reads = {source: None}
        return copy

    # memory

    def _give_out(self) -> dict[str, int]:
        """Give every scratch region its place; return the memory's size by type."""
        scratch = [[r for r in stage.touched if r.kind == "scratch"] for stage in self.stages]
        places, sizes = share(scratch)
        for region, place in places.items():
            region.offset = place
        return sizes

    def _error(self, value: Value, what: str) -> TargetError:
        return TargetError(
            f"layer {self._node.name} ({self._node.op_type}): operator {value.op} of shape "
            f"{list(value.shape)}: {what}, and TVM has no translation of it yet; use the "
            "kernels in C (--backend c) for this model"
        )


def _dtype(value: Value) -> str:
    return next(f"int{bits}" for bits in (16, 32, 64) if bits == 64 or fits(value.range, bits))
