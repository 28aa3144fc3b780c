"""Run a command at a desk with a virtual nRF52840-DK: python -m tests.testbeds COMMAND..."""

import subprocess
import sys

from tests.testbeds.desk import Desk
from tests.testbeds.nrf52840 import Kit


def main() -> int:
    kit = Kit()
    with Desk() as desk:
        kit.plug_into(desk)
        code = subprocess.run(sys.argv[1:], env=desk.environment).returncode
    kit.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
