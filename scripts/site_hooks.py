"""Hooks of the site: a page for each notebook (``mkdocs.yml``)."""

import json
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def page_of(notebook: dict[str, Any], name: str) -> str:
    """Return the cells of a notebook as Markdown."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.append(f"[The notebook]({name}), to run it.")
    return "\n\n".join(parts) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for file in [f for f in files if f.src_uri.endswith(".ipynb")]:
        uri = file.src_uri.removesuffix(".ipynb") + ".md"
        text = page_of(json.loads(file.content_string), file.name + ".ipynb")
        files.append(File.generated(config, uri, content=text))
    return files
