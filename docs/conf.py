"""How the pages and the docstrings become a site: `make docs`."""

import sys
from pathlib import Path

import interpret_segmentation

sys.path.insert(0, str(Path(__file__).with_name("_extensions")))

from public_names import aliases

project = "interpret-segmentation"
author = "The interpret-segmentation authors"
release = version = interpret_segmentation.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "public_api", "outside_links"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

napoleon_google_docstring = napoleon_numpy_docstring = False  # read in public_api
napoleon_attr_annotations = False  # the signature of the class has the types
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_type_aliases = {name: name for name in aliases()}
maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_copyright = False
html_show_search_summary = False  # a page that is opened from disk may not fetch others
