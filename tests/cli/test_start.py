"""Start of the command line."""

import subprocess
import sys


def test_the_command_line_starts_without_torch() -> None:
    """Alone catches an import at the top of a schema that makes each command wait for seconds."""
    text = (
        "import sys, edgeflow.cli; "
        "print([name for name in ('torch', 'onnx', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
