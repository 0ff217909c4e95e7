"""What differs from the months before, as pictures: table, column, place and period under each."""

from collections.abc import Mapping, Sequence
from typing import Any

from fraud.report import pictures
from fraud.report.content import number

MOST = 12
"""Pictures drawn, of the gravest findings."""


def drift_pictures(findings: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Any]]:
    """Findings that can be drawn, each with its picture: a year of months, or two distributions.

    Parameters
    ----------
    findings : sequence of mapping
        As `fraud.drift.Drift.told` gives them, the gravest first.
    """
    drawn = []
    for finding in findings:
        label = f"{finding['table']}.{finding['column']} {finding['place']} {finding['period']}"
        if finding.get("bins"):
            shapes = finding["usual_shape"], finding["shape"]
            drawn.append((finding, pictures.pair(finding["bins"], *shapes, label)))
        elif len(finding.get("series", ())) > 1:
            months, values = zip(*finding["series"], strict=True)
            labels = [m[2:].replace("-", "/") for m in months]
            drawn.append((finding, pictures.columns(labels, values, [number(v) for v in values], label)))
        if len(drawn) == MOST:
            break
    return drawn
