"""Everything that is installed is pinned by its hash (tier: unit).

Alone they would catch a pin that was changed by hand without its hashes, and a package that pip
would choose itself as none of the pins names it.
"""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HASHED = ["requirements.txt", "scripts/supply-chain-requirements.txt"]


def blocks(file: str) -> dict[str, list[str]]:
    """Return the words behind each pin of a file, by its name."""
    text = (ROOT / file).read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {words[0]: words[1:] for words in lines}


@pytest.mark.parametrize("file", HASHED)
def test_every_pin_is_exact_and_has_hashes(file: str) -> None:
    pins = blocks(file)
    assert len(pins) > 40
    for pin, rest in pins.items():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", pin), pin
        hashes = [word for word in rest if word.startswith("--hash")]
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes), pin


def test_torch_alone_has_none() -> None:
    (pin,) = blocks("requirements-torch.txt")
    assert pin.startswith("torch==") and pin not in blocks("requirements.txt")


def test_what_pins_need_is_pinned() -> None:
    """`pip install --no-deps` leaves out what no file names."""
    files = ("requirements.txt", "requirements-torch.txt")
    pinned = {pin.partition("==")[0] for file in files for pin in blocks(file)}
    lacking = set()
    for name in (*pinned, "edgeflow"):
        try:
            needed = map(Requirement, requires(name) or ())
        except PackageNotFoundError:  # of another system
            continue
        for one in needed:
            wanted = one.marker is None or one.marker.evaluate({"extra": ""})
            if wanted and canonicalize_name(one.name) not in pinned:
                lacking.add(f"{one} (of {name})")
    # drivers of graphics cards come with the builds that need them
    lacking = {text for text in lacking if not re.match(r"nvidia-|cuda-|triton", text)}
    assert not lacking
    assert "editables" in pinned  # hatchling asks for it at `pip install -e .`


def test_the_set_up_asks_for_hashes() -> None:
    text = (ROOT / "scripts" / "setup.sh").read_text()
    assert "--require-hashes -r requirements.txt" in text and "--no-build-isolation" in text
    assert "--require-hashes" in (ROOT / "scripts" / "supply_chain.sh").read_text()
