"""One ONNX file for runtimes that know nothing of EdgeFlow: one step, or whole windows.

What a consumer has to know (labels, sample rate, normalisation, states) is in its metadata; the
values are bit for bit those of `Program.run`.
"""

from pathlib import Path

import onnx

from edgeflow.exporting import Options
from edgeflow.files import write_atomic
from edgeflow.program import Program
from edgeflow.program.onnx_file import to_onnx
from edgeflow.program.onnx_forms import Form, as_form


def write(program: Program, out: Path, options: Options) -> list[Path]:
    """Write `program` to the file `out`; return the file.

    `options.to` is ``onnx``, one step with explicit states, or ``onnx-scan``, windows of samples;
    see :func:`edgeflow.program.onnx_forms.as_form` for inputs and outputs.
    """
    form = Form(scan=options.to == "onnx-scan", inline=options.inline, raw=options.raw)
    model = as_form(to_onnx(program), program, form)
    onnx.checker.check_model(model, full_check=True)
    write_atomic(out, model.SerializeToString())
    return [out]
