"""west of Zephyr."""

from pathlib import Path

from edgeflow.device.runners.base import FlashRunner
from edgeflow.errors import DeviceError
from edgeflow.targets.spec import Spec


class West(FlashRunner):
    """west starts the tool that a Zephyr build of the board is set up for.

    Of those tools it shows no common sign of a verification, and it cannot read: what the board
    then says of itself, its build's number, is the proof.
    """

    NAME = "west"
    HELP = "what a Zephyr build of the same board is set up for, by west flash"
    TOOL = "west"
    INSTALL = "pip install west, and a Zephyr workspace"
    FAILURES = (
        (r"unknown command \"?flash|not in a west workspace|no west workspace",
         "the option 'build_dir' is in no west workspace: set ZEPHYR_BASE, or 'west init' there"),
        (r"no board .* configured|runners\.yaml|not a build directory|no such .*build",
         "the option 'build_dir' is no folder of 'west build'"),
    )  # fmt: skip

    class Options(Spec):
        """``[runner.options.west]``.

        Attributes
        ----------
        build_dir
            Folder of ``west build`` for the board, beside the board file; names programs, so that
            a board file of one's own needs trust for it.
        runner
            Of ``west flash --runner``; default: the build's.
        """

        build_dir: str
        runner: str | None = None

    options: Options

    def write(self, image: Path) -> None:
        folder = self.beside(self.options.build_dir)
        if not folder.is_dir():
            raise DeviceError(f"west could not flash {self.spec.name}: {folder}: no such folder")
        chosen = ["--runner", self.options.runner] if self.options.runner is not None else []
        # of these a tool takes the one that it can; west is found by the folder that it runs in
        files = [
            part
            for kind in ("elf", "hex", "bin")
            if image.with_suffix(f".{kind}").is_file()
            for part in (f"--{kind}-file", str(image.with_suffix(f".{kind}")))
        ]
        command = [
            self.tool,
            "flash",
            "--build-dir",
            str(folder),
            "--skip-rebuild",
            *chosen,
            *files,
        ]
        self.run(command, cwd=folder)
