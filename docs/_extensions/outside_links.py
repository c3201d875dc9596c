"""Links to files of the repository that are no pages: a file is offered for download, a folder is named."""

from __future__ import annotations

import os
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx


def mend(app: Sphinx, document: nodes.document) -> None:
    """Replace the links that lead to no page; MyST has made downloads of the other files already."""
    here = app.env.doc2path(app.env.docname).parent
    for link in list(document.findall(pending_xref)):
        path = here / link["reftarget"]
        if link.get("refdomain") == "doc" and Path(link["reftarget"]).is_absolute():
            file = os.path.relpath(path.with_name(f"{path.name}.md"), here)
            link.replace_self(download_reference("", *link.children, reftarget=file, refdoc=link["refdoc"]))
        elif link["reftype"] == "myst" and path.is_dir():
            link.replace_self(nodes.literal(text=link.astext()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Come before Sphinx collects the downloads."""
    app.connect("doctree-read", mend, priority=400)
    return {"parallel_read_safe": True}
