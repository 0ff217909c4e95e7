"""The quality report as one self-contained page, Chinese first."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fraud.ingest.quality import QualityReport

_TEMPLATE = Path(__file__).with_name("quality.html")


def page(report: "QualityReport") -> str:
    """HTML of a report: no outside resource, no script, every value escaped."""
    import jinja2

    from fraud.schema import TABLES

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    titles: dict[str, Any] = {name: table.zh for name, table in TABLES.items()}
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(r=report, titles=titles)
