"""Prints accuracy on analog chips over time, and draws it as docs/imc-chips.svg.

python scripts/benchmark.py imc -o runs/bench
python scripts/imc_curve.py
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeflow.imc.options import time_text

ROOT = Path(__file__).resolve().parent.parent


def read() -> list[dict[str, Any]]:
    """Return a row a cell as trained, and one as fine-tuned (``scripts/benchmark.py imc``)."""
    found: list[dict[str, Any]] = json.loads((ROOT / "benchmarks" / "imc.json").read_text())
    return found


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return accuracy over time, means ± seeds (chips), beside the energy of a step on an MCU."""
    times = [time_text(seconds) for seconds in rows[0]["seconds"]]
    names = ["model", "fine-tuned", "weights", "digital, %", *times]
    names += ["qemu-m4, µJ a step", "arrays, nJ a step"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        each = zip(row["mean"], row["sd_seeds"], row["sd_chips"], strict=True)
        cells = [
            row["cell"], "yes" if row["tuned"] else "no", f"{row['weights']:,}",
            "{:.1f} ± {:.1f}".format(*row["digital"]),
            *(f"{mean:.1f} ± {seeds:.1f} ({chips:.1f})" for mean, seeds, chips in each),
            f"{row['energy_uj']:.2f}", " to ".join(f"{nj:.1f}" for nj in row["analog_nj"]),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw a panel of the models as trained, and one of those fine-tuned for chips."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "edgeflow"  # the same file from the same numbers
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    titles = ("as trained", "fine-tuned for chips")
    for axis, title, tuned in zip(axes, titles, (False, True), strict=True):
        for number, row in enumerate(row for row in rows if row["tuned"] == tuned):
            axis.errorbar(
                row["seconds"], row["mean"], row["sd_chips"], color=f"C{number}",
                marker="o", markersize=4, capsize=3, label=row["cell"],
            )  # fmt: skip
            axis.axhline(row["digital"][0], color=f"C{number}", linewidth=0.8, linestyle=":")
        axis.set(title=title, xscale="log", xlabel="time since programming")
        axis.set_xticks(rows[0]["seconds"], [time_text(s) for s in rows[0]["seconds"]])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy, %; bars: chips; dotted: digital")
    axes[1].legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(read(), ROOT / "docs" / "imc-chips.svg")
    print(table(read()))
