"""Pages from the templates of this package; all of them share `parts.html`."""

from importlib.resources import files
from typing import Any

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FunctionLoader(
        lambda name: files("posecast.report").joinpath(name).read_text(encoding="utf-8")
    ),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def render(template: str, **values: Any) -> str:
    """The text of a page."""
    return _ENVIRONMENT.get_template(template).render(**values)
