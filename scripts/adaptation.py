"""What read-outs that learn gain on people that the model does not know: docs/adaptation.md.

python scripts/adaptation.py people --data wisdm-watch-hand --root DATA --model MODEL
python scripts/adaptation.py digits --root DATA --models runs/digits [--by-person] [--seed 0]

`people` compresses a trained model to int8 and replays its test people; `digits` trains a GRU with
each speaker left out in turn (folders in --models are taken if they are there); with --by-person
the training also has the loss that lets a few labels suffice. Parameters are
chosen on validation people by `edgeflow.compression.adapt.with_learning`. Each row is the mean over
test people, before and after k labelled windows of a class; `spread`: windows drawn over the whole
recordings, the mean of 8 draws; `first`: the first ones.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.compression.adapt import LABELS, with_learning  # noqa: E402
from edgeflow.compression.evaluate import compress_model  # noqa: E402
from edgeflow.compression.replay import MODES, Features, Gain, gains  # noqa: E402
from edgeflow.data import Dataset, load_dataset  # noqa: E402
from edgeflow.data.dataset import everybody  # noqa: E402
from edgeflow.program import Program  # noqa: E402
from edgeflow.program.nodes.adaptive_linear import AdaptiveLinear  # noqa: E402
from edgeflow.recipes.apply import for_model  # noqa: E402
from edgeflow.training import train  # noqa: E402
from edgeflow.training.prototypical import Prototypical  # noqa: E402

#: Learner and store of each row.
LEARNERS = (("prototypes", 0), ("head", 3), ("head", 5))
#: Of the spoken digits: as scripts/spoken_digits.py has them, with fewer units.
DIGITS: dict[str, Any] = {
    "front": "log-mel:floor=-80db,highpass=1hz,difference", "hidden": 32, "epochs": 25,
    "batch": 64, "patience": 0, "scale": 0.5, "noise": 0.3, "dropout": 0.4,
}  # fmt: skip
#: And with the loss by person: twice as many clips of a speaker's digit together, as many steps.
BY_PERSON: dict[str, Any] = {"batch": 128, "epochs": 50, "keep": "last"}
Rows = dict[tuple[str, int, str, int], list[Gain]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("people", "digits"))
    parser.add_argument("--model", help="folder of a trained model, of `people`")
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("--data", default="wisdm-watch-hand")
    parser.add_argument("--models", default="runs/digits", help="folder of the digits' models")
    parser.add_argument("--by-person", action="store_true", help="train the digits' models by it")
    parser.add_argument("--seed", type=int, default=0, help="of the digits' models")
    parser.add_argument("--only", help="this test speaker")
    parser.add_argument("--json", help="file for all figures")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: Rows = {}
    if given.what == "people":
        data = load_dataset(given.data, root=given.root)
        rows = replayed(compress_model(given.model, for_model(data, given.model)).program, data)
    else:
        options = {**DIGITS, **(BY_PERSON if given.by_person else {})}
        methods = [Prototypical()] if given.by_person else []
        for data, folder in speakers(given):
            if not (folder / "model.pt").is_file():
                train(data, "gru", out=folder, seed=given.seed, methods=methods, **options)
            data = for_model(data, folder)
            for key, found in replayed(compress_model(folder, data).program, data).items():
                rows.setdefault(key, []).extend(found)
    show(rows)
    if given.json:
        content = {" ".join(map(str, k)): [vars(one) for one in v] for k, v in rows.items()}
        Path(given.json).write_text(json.dumps(content, indent=1))


def speakers(given: argparse.Namespace) -> list[tuple[Dataset, Path]]:
    """Return the digits with each speaker left out; the next by name validates."""
    names = everybody(load_dataset("spoken-digits", root=given.root).recordings)
    found = []
    for i, test in enumerate(names):
        val = names[(i + 1) % len(names)]
        rest = [name for name in names if name not in (test, val)]
        people = {"train": rest, "val": [val], "test": [test]}
        if given.only in (None, test):
            data = load_dataset("spoken-digits", root=given.root, people=people)
            found.append((data, Path(given.models) / test))
    return found


def replayed(program: Program, data: Dataset) -> Rows:
    """Return the gains of the test people by learner, store, mode and labels a class."""
    test = Features.of(program, data, "test")
    rows: Rows = {}
    for learner, keep in LEARNERS:
        adapted = with_learning(program, data, learner, keep or 3)
        node = adapted.nodes[-1]
        assert isinstance(node, AdaptiveLinear)
        print(json.dumps(adapted.metadata["adapt"]), flush=True)
        for mode in MODES:
            for k in LABELS:
                rows[learner, keep, mode, k] = gains(node, test, k, mode)
        show({key: row for key, row in rows.items() if key[:2] == (learner, keep)})
    return rows


def show(rows: Rows) -> None:
    print("learner  store  mode  k  before  after  gain  worst before  after  least gain")
    for (learner, keep, mode, k), found in rows.items():
        before, after = (
            [100 * v for v in of] for of in zip(*((g.before, g.after) for g in found), strict=True)
        )
        least = min(a - b for a, b in zip(after, before, strict=True))
        mean = [sum(v) / len(v) for v in (before, after)]
        print(
            f"{learner} {keep} {mode} {k}  {mean[0]:.1f} {mean[1]:.1f} {mean[1] - mean[0]:+.1f}  "
            f"{min(before):.1f} {min(after):.1f}  {least:+.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
