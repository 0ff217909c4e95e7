"""``rings.html``: one card per ring, with its network and timeline; Plotly beside it, no network needed."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.report import ring_pictures
from fraud.report.content import (
    MEMBER_WORDS,
    RING_STATUS_WORDS,
    RING_WORDS,
    ROLE_WORDS,
    Words,
    cents_sum,
    number,
)
from fraud.report.rendering import asset, template
from fraud.report.ring_pictures import RingFrames

PAGE, SCRIPT = "rings.html", "plotly.min.js"
PICTURED = 60
"""Rings drawn; the tables have them all."""
MEMBERS_SHOWN = 60
"""Members named on a card."""


@dataclass(frozen=True)
class RingsContent:
    """Everything the page of rings is made of.

    Attributes
    ----------
    first, last : str
        ``YYYY-MM``: months looked at, inclusive.
    found : RingFrames
        The rings, best first.
    skipped : mapping
        What was not looked at and why.
    """

    first: str
    last: str
    found: RingFrames
    skipped: Mapping[str, str] = field(default_factory=dict)


def write_rings_page(content: RingsContent, folder: Path) -> Path:
    """Write the page and, beside it, Plotly's script, so that it opens without a network."""
    script = (resources.files("plotly") / "package_data" / SCRIPT).read_bytes()
    (folder / SCRIPT).write_bytes(script)
    path = folder / PAGE
    beside = folder / f".{PAGE}.part"
    beside.write_text(render_rings(content), encoding="utf-8")
    os.replace(beside, path)
    return path


def render_rings(content: RingsContent) -> str:
    """Whole page as text; the same content gives the same text."""
    rings = content.found.rings.reset_index(drop=True)
    cards = [_card(content.found, ring, i) for i, ring in enumerate(rings.head(PICTURED).to_dict("records"))]
    return template("rings.html.j2").render(
        c=content,
        cards=cards,
        more=len(rings) - len(cards),
        people=int((content.found.members["member_kind"] == "patient").sum()),
        amount=cents_sum(content.found.claims.drop_duplicates("claim_id")["amount"]),
        plotly=SCRIPT,
        style=asset("report.css") + asset("rings.css"),
        script=asset("rings.js"),
    )


def _card(found: RingFrames, ring: dict[str, Any], place: int) -> dict[str, Any]:
    ring_id = ring["ring_id"]
    evidence = json.loads(ring["evidence"])
    members = found.members[found.members["ring_id"] == ring_id]
    organiser = evidence.get("organiser")
    return {
        **ring,
        "rank": place + 1,
        "amount": float(ring["amount"]),
        "kind_words": _words(RING_WORDS, ring["kind"]),
        "status_words": _words(RING_STATUS_WORDS, ring["status"]),
        "first": f"{ring['first_seen']:%Y-%m-%d}",
        "last": f"{ring['last_seen']:%Y-%m-%d}",
        "zh": evidence["summary_zh"],
        "en": evidence["summary_en"],
        "organiser": organiser and {**organiser, "words": _words(ROLE_WORDS, organiser["role"]),
                                    "kind_words": _words(MEMBER_WORDS, organiser["kind"])},
        "measures": [_measure(m) for m in evidence.get("measures", ())],
        "explanations": [_explanation(e) for e in evidence.get("explanations", ())],
        "member_rows": _members(found, ring_id, members),
        "more_members": max(len(members) - MEMBERS_SHOWN, 0),
        "network": _json(ring_pictures.network(found, ring_id)),
        "timeline": _json(ring_pictures.timeline(found, ring_id)),
    }  # fmt: skip


def _words(words: Words, code: str) -> tuple[str, str]:
    return words.get(code, (code, ""))


def _measure(measure: dict[str, Any]) -> dict[str, Any]:
    """Measure with the widths of its bars, in percent."""
    value, baseline = measure.get("value"), measure.get("baseline")
    top = max(abs(float(v)) for v in (value, baseline, 0.0) if v is not None) or 1.0
    return {
        **measure,
        "bars": [
            (css, zh, en, _text(measure, v), round(100 * max(float(v), 0.0) / top))
            for css, zh, en, v in (("now", "实际", "seen", value), ("peer", "对照", "against", baseline))
            if v is not None
        ],
    }


def _explanation(explanation: dict[str, Any]) -> dict[str, Any]:
    """Explanation by its name; the share, which some carry after a colon, has a column of its own."""
    bare = {text: explanation[text].split("：")[0].split(":")[0] for text in ("zh", "en")}
    return {**explanation, **bare}


def _text(measure: dict[str, Any], value: float) -> str:
    """Measured value: a percentage where the measure's words or its code say share."""
    share = measure["code"].endswith("_share") or "%" in measure["zh"]
    return f"{value:.0%}" if share else number(float(value))


def _members(found: RingFrames, ring_id: str, members: pd.DataFrame) -> list[dict[str, Any]]:
    """Members with words and their share of the evidence, organiser's side first."""
    facts = ring_pictures.graph(found, ring_id).nodes
    order = {role: i for i, role in enumerate(ROLE_WORDS)}
    rows = [
        {
            **member,
            "kind_words": _words(MEMBER_WORDS, member["member_kind"]),
            "role_words": _words(ROLE_WORDS, member["role"]),
            "claims": facts[f"{member['member_kind']}:{member['member_id']}"]["claims"],
            "amount": facts[f"{member['member_kind']}:{member['member_id']}"]["amount"],
        }
        for member in members.to_dict("records")
    ]
    rows.sort(
        key=lambda m: (
            order.get(m["role"], len(order)),
            -m["membership_score"],
            m["member_kind"],
            m["member_id"],
        )
    )
    return rows[:MEMBERS_SHOWN]


def _json(figure: Any) -> str:
    """Figure as JSON that may stand inside a script element."""
    text = figure.to_json(engine="json")
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
