"""Tables made of registries and data files are as these say."""

import json
import re
from pathlib import Path

from edgeflow.cells import CELLS
from edgeflow.targets.board import list_boards
from scripts import docs_tables


def test_pages_are_up_to_date() -> None:
    names = [path.name for path in docs_tables.stale()]
    assert not names, f"{', '.join(names)}: run python scripts/docs_tables.py"


def test_every_table_is_on_one_page() -> None:
    used = [name for page in docs_tables.PAGES for name in docs_tables.names_in(page.read_text())]
    assert sorted(used) == sorted(docs_tables.TABLES)


def test_every_marker_is_one_of_a_pair() -> None:
    for page in docs_tables.PAGES:
        text = page.read_text()
        opened = re.findall(r"<!-- generated: ([\w-]+) -->", text)
        assert opened == docs_tables.names_in(text), f"{page.name}: a marker without its end"


def test_support_has_every_cell_and_core() -> None:
    head, _, *rows = docs_tables.support().splitlines()
    assert [row.split("|")[1].strip(" `") for row in rows[: len(CELLS)]] == list(CELLS)
    cores = re.split(r"\s*[|,]\s*", head.strip("| "))
    assert len(cores) == len({board.core.name for board in list_boards()})


def test_support_follows_the_files_of_kernels() -> None:
    cores = {board.core.name: board.core for board in list_boards()}
    assert docs_tables.step_of("gru", cores["cortex-m55"]) == "asm"
    assert docs_tables.step_of("gru", cores["cortex-m4"]) == "tuned"
    assert docs_tables.step_of("gru", cores["host"]) == "C"
    assert docs_tables.step_of("l2mu", cores["cortex-m4"]) == "tuned in part"


def test_a_stale_table_is_renewed() -> None:
    page = "# A\n\n<!-- generated: spikes -->\nold\n<!-- end: spikes -->\n\nafter\n"
    renewed = docs_tables.renewed(page)
    assert "old" not in renewed and renewed.endswith("<!-- end: spikes -->\n\nafter\n")
    assert docs_tables.renewed(renewed) == renewed


def test_a_demo_keeps_what_the_table_needs(tmp_path: Path, monkeypatch) -> None:
    kept = docs_tables.read("demo.json")
    (tmp_path / "profile.json").write_text(json.dumps({**kept, "mismatches": 3, "other": 1}))
    monkeypatch.setattr(docs_tables, "BENCHMARKS", tmp_path)
    docs_tables.store_demo(tmp_path / "profile.json")
    assert docs_tables.read("demo.json") == {**kept, "mismatches": 3}
    assert "| mismatches with the reference | 3 | measured |" in docs_tables.demo()


def test_others_name_a_source_each() -> None:
    data = docs_tables.read("others.json")
    for row in data["steps"]:
        library = row["library"].split(",")[0]
        assert library == "EdgeFlow" or data["sources"][library].startswith("https://")
