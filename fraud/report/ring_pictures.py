"""Pictures of a ring: who is joined to whom, and who was where on which day."""

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from fraud.report.content import MEMBER_WORDS, ROLE_WORDS, money

if TYPE_CHECKING:
    import networkx as nx
    import plotly.graph_objects as go

SEED = 7
MOST_NODES = 120
"""Members drawn in a network, the surest first."""
MOST_ROWS = 80
"""People drawn in a timeline, the busiest first."""
MOST_DOTS = 1500
"""Claims drawn in a timeline, the latest."""
MEETING = 3
"""People at one place on one day that are shown as a meeting."""

# colour and plotly symbol by kind of member
_LOOK = {
    "patient": ("#5d8fbd", "circle"),
    "doctor": ("#0f766e", "square"),
    "department": ("#15607f", "hexagon"),
    "institution": ("#b4540a", "diamond"),
    "operator": ("#7a2e86", "triangle-up"),
}
_OTHER = ("#8592a0", "cross")
_PLACES = ("#123a5e", "#b4540a", "#0f766e", "#7a2e86", "#d99a1c", "#3b82c4", "#c0392b", "#6b8e23")
_REST = "#9aa5b1"
_FONT = {
    "family": '"PingFang SC","Microsoft YaHei","Noto Sans CJK SC","Noto Sans SC",system-ui,sans-serif',
    "size": 12,
    "color": "#16202c",
}


class RingFrames(Protocol):
    """Frames of rings as `fraud.rings.Rings` has them, or as a run folder's tables are read."""

    @property
    def rings(self) -> pd.DataFrame:
        """One row per ring, best first."""

    @property
    def members(self) -> pd.DataFrame:
        """One row per member."""

    @property
    def claims(self) -> pd.DataFrame:
        """One row per evidence claim."""

    @property
    def edges(self) -> pd.DataFrame:
        """One row per pair that meets."""


def graph(rings: RingFrames, ring_id: str) -> "nx.Graph":
    """Ring as a graph of its members.

    Parameters
    ----------
    rings : RingFrames
    ring_id : str

    Returns
    -------
    networkx.Graph
        Nodes ``kind:id`` with ``kind``, ``id``, ``role``, ``membership`` (0–1), ``claims`` and
        ``amount`` (yuan) of their evidence claims. Edges with ``relation``: ``meetings`` (with
        ``meetings``, ``expected`` and ``weight``, a log-likelihood ratio) or ``claims`` (a member's
        claims at another member, ``weight`` their number).

    Raises
    ------
    KeyError
        There is no such ring.
    """
    import networkx as nx

    own = _only(rings, ring_id)
    made = nx.Graph(ring_id=ring_id)
    for member in own["members"].to_dict("records"):
        kind, name = str(member["member_kind"]), str(member["member_id"])
        column = f"{kind}_id"
        claims = own["claims"]
        mine = claims[claims[column] == name] if column in claims else claims.iloc[:0]
        made.add_node(
            f"{kind}:{name}",
            kind=kind,
            id=name,
            role=str(member["role"]),
            membership=float(member["membership_score"]),
            claims=len(mine),
            amount=round(float(mine["amount"].sum()), 2),
        )
    made.add_edges_from(_meetings(made, own["edges"]))
    made.add_edges_from(_visits(made, own["claims"]))
    return made


def _only(rings: RingFrames, ring_id: str) -> dict[str, pd.DataFrame]:
    """Rows of one ring, amounts as floats."""
    if not (rings.rings["ring_id"] == ring_id).any():
        raise KeyError(ring_id)
    frames = {"members": rings.members, "claims": rings.claims, "edges": rings.edges}
    own = {name: frame[frame["ring_id"] == ring_id] for name, frame in frames.items()}
    own["claims"] = own["claims"].astype({"amount": "float64"})
    return own


def _meetings(made: "nx.Graph", edges: pd.DataFrame) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Pairs that meet. They are named by id alone: where kinds share an id, members of one kind meet."""
    nodes: dict[str, list[str]] = {}
    for node, member in made.nodes(data=True):
        nodes.setdefault(member["id"], []).append(node)
    for edge in edges.sort_values(["a", "b"]).to_dict("records"):
        pairs = [(m, n) for m in nodes.get(str(edge["a"]), ()) for n in nodes.get(str(edge["b"]), ())]
        if pairs:
            kind = made.nodes(data="kind")
            a, b = min(pairs, key=lambda pair: (kind[pair[0]] != kind[pair[1]], pair))
            numbers = {"meetings": int(edge["meetings"]), "expected": float(edge["expected"])}
            yield a, b, {"relation": "meetings", **numbers, "weight": float(edge["weight"])}


def _visits(made: "nx.Graph", claims: pd.DataFrame) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Claims of member patients at member doctors and institutions."""
    for kind in ("doctor", "institution"):
        pairs = claims.groupby(["patient_id", f"{kind}_id"]).size()
        for (patient, other), count in pairs.items():
            ends = f"patient:{patient}", f"{kind}:{other}"
            if all(made.has_node(end) for end in ends) and not made.has_edge(*ends):
                yield *ends, {"relation": "claims", "weight": float(count)}


def network(rings: RingFrames, ring_id: str) -> "go.Figure":
    """Draw a ring's members and what joins them.

    Kinds of members differ in shape and colour, the organiser's side has a dark outline, an edge is as
    wide as its weight; hovering tells id, role, claims and money. At most `MOST_NODES` members.

    Raises
    ------
    KeyError
        There is no such ring.
    """
    import plotly.graph_objects as go

    made = graph(rings, ring_id)
    surest = sorted(made.nodes, key=lambda n: (-made.nodes[n]["membership"], n))
    shown = made.subgraph(surest[:MOST_NODES])
    place = _layout(shown)
    lines = [*_edge_lines(shown, place, "claims"), *_edge_lines(shown, place, "meetings")]
    figure = go.Figure([*lines, *_node_marks(shown, place)])
    bare = {"visible": False, "fixedrange": True}
    return figure.update_layout(**_frame(460), xaxis=bare, yaxis=bare, dragmode=False)


def _layout(shown: "nx.Graph") -> dict[str, tuple[float, float]]:
    """Places of the nodes by springs; the same for the same ring."""
    import networkx as nx

    springs: nx.Graph = nx.Graph()
    edges = sorted((*sorted((a, b)), data["weight"]) for a, b, data in shown.edges(data=True))
    springs.add_edges_from((a, b, {"pull": 1 + np.log1p(max(w, 0.0)) / 2}) for a, b, w in edges)
    spread = 2.2 / np.sqrt(max(len(springs), 1))
    found = nx.spring_layout(springs, k=spread, iterations=120, seed=SEED, weight="pull")
    place = {n: (float(x), float(y)) for n, (x, y) in found.items()}
    # Members without a line of their own (a till, where claims name no operator) stand in a row above.
    top = max((y for _, y in place.values()), default=0.0)
    for i, node in enumerate(sorted(n for n in shown.nodes if n not in place)):
        place[node] = (-0.8 + 0.4 * (i % 5), top + 0.35 * (1 + i // 5))
    return {n: (round(x, 3), round(y, 3)) for n, (x, y) in place.items()}


def _edge_lines(
    shown: "nx.Graph", place: dict[str, tuple[float, float]], relation: str
) -> Iterator["go.Scatter"]:
    """Edges of one relation, a trace for each of three widths (a trace has one width)."""
    import plotly.graph_objects as go

    edges = sorted(
        (*sorted((a, b)), d["weight"]) for a, b, d in shown.edges(data=True) if d["relation"] == relation
    )
    top = max((w for *_, w in edges), default=0.0) or 1.0
    colour = "rgba(122,46,134,0.35)" if relation == "meetings" else "rgba(120,135,150,0.35)"
    for step, width in enumerate((0.7, 1.6, 3.0)):
        own = [(a, b) for a, b, w in edges if min(int(3 * w / top), 2) == step]
        if own:
            x = [v for a, b in own for v in (place[a][0], place[b][0], None)]
            y = [v for a, b in own for v in (place[a][1], place[b][1], None)]
            line = {"width": width, "color": colour, "dash": "solid" if relation == "meetings" else "dot"}
            yield go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)


def _node_marks(shown: "nx.Graph", place: dict[str, tuple[float, float]]) -> Iterator["go.Scatter"]:
    """Members, a trace for each kind, so that the legend names the kinds."""
    import plotly.graph_objects as go

    everybody = sorted(shown.nodes(data=True))
    top = max((m["claims"] for _, m in everybody), default=0) or 1
    for kind in (*_LOOK, ""):
        own = [(n, m) for n, m in everybody if m["kind"] == kind or (not kind and m["kind"] not in _LOOK)]
        if not own:
            continue
        colour, symbol = _LOOK.get(kind, _OTHER)
        plain = kind == "patient"
        label = own if not plain else own[:0] if len(own) > 40 else own
        marker = {
            "symbol": symbol,
            "color": colour,
            "opacity": 1,
            "size": [round(11 + 9 * m["claims"] / top, 1) if plain else 21 for _, m in own],
            "line": {
                "width": [1 if m["role"] == "member" else 2 for _, m in own],
                "color": ["#fff" if m["role"] == "member" else "#16202c" for _, m in own],
            },
        }
        yield go.Scatter(
            x=[place[n][0] for n, _ in own],
            y=[place[n][1] for n, _ in own],
            mode="markers+text" if label else "markers",
            text=[html.escape(m["id"]) for _, m in label] or None,
            textposition="top center",
            textfont={"size": 10 if plain else 12, "color": "#5d6b7a" if plain else "#16202c"},
            hovertext=[_about(m) for _, m in own],
            hoverinfo="text",
            marker=marker,
            name=_both(MEMBER_WORDS.get(kind, ("其他", "other"))),
        )


def _about(member: dict[str, Any]) -> str:
    return (
        f"<b>{html.escape(member['id'])}</b><br>"
        f"{_both(MEMBER_WORDS.get(member['kind'], (member['kind'], '')))} · "
        f"{_both(ROLE_WORDS.get(member['role'], (member['role'], '')))}<br>"
        f"成员得分 membership {member['membership']:.2f}<br>"
        f"证据结算 claims {member['claims']:,} · {money(member['amount'])} 元 yuan"
    )


def _both(words: tuple[str, str]) -> str:
    return html.escape(" ".join(w for w in words if w))


def timeline(rings: RingFrames, ring_id: str) -> "go.Figure":
    """Draw a ring's evidence claims: people from top to bottom, days from left to right, places as colours.

    A band marks a day on which `MEETING` people or more were at one place: meetings stand out as
    columns. At most `MOST_ROWS` people and `MOST_DOTS` claims.

    Raises
    ------
    KeyError
        There is no such ring.
    """
    import plotly.graph_objects as go

    claims = _only(rings, ring_id)["claims"].sort_values(["settled_at", "claim_id"])
    claims = claims.assign(day=claims["settled_at"].dt.strftime("%Y-%m-%d"))
    people = _people(claims)
    claims = claims[claims["patient_id"].isin(people)].tail(MOST_DOTS)
    figure = go.Figure(list(_dots(claims)), layout=_frame(110 + 16 * max(len(people), 6)))
    figure.update_layout(shapes=list(_bands(claims)), hovermode="closest")
    tick = {"tickfont": {"size": 10}, "gridcolor": "#eef1f5", "zeroline": False}
    figure.update_xaxes(type="date", tickformat="%Y-%m-%d", nticks=10, **tick)
    return figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=people[::-1], automargin=True, **tick
    )


def _people(claims: pd.DataFrame) -> list[str]:
    """People of the timeline, in the order in which they came first."""
    count = claims["patient_id"].value_counts()
    busiest = sorted(count.index, key=lambda p: (-count[p], p))[:MOST_ROWS]
    first = claims.drop_duplicates("patient_id").set_index("patient_id")["settled_at"]
    return sorted(busiest, key=lambda p: (first[p], p))


def _dots(claims: pd.DataFrame) -> Iterator["go.Scatter"]:
    """One dot per claim, a trace for each place; places beyond the colours are one."""
    import plotly.graph_objects as go

    count = claims["institution_id"].value_counts()
    busiest = sorted(count.index, key=lambda p: (-count[p], p))
    named = busiest[: len(_PLACES)]
    groups = [(str(p), claims[claims["institution_id"] == p], _PLACES[i]) for i, p in enumerate(named)]
    rest = claims[~claims["institution_id"].isin(named)]
    if len(rest):
        groups.append((f"其他 other ({rest['institution_id'].nunique()})", rest, _REST))
    for name, own, colour in groups:
        yield go.Scatter(
            x=own["day"].tolist(),
            y=own["patient_id"].tolist(),
            mode="markers",
            marker={"color": colour, "size": 9, "opacity": 0.85},
            hovertext=[_claim(c) for c in own.to_dict("records")],
            hoverinfo="text",
            name=html.escape(name),
            showlegend=True,
        )


def _claim(claim: dict[str, Any]) -> str:
    doctor = claim["doctor_id"] if isinstance(claim["doctor_id"], str) else ""
    where = " · ".join(html.escape(w) for w in (claim["institution_id"], doctor) if w)
    return (
        f"<b>{html.escape(claim['patient_id'])}</b> {claim['settled_at']:%Y-%m-%d %H:%M}<br>"
        f"{where}<br>{html.escape(claim['claim_id'])} · {money(claim['amount'])} 元 yuan"
    )


def _bands(claims: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Days on which several people were at one place, as light columns behind the dots."""
    people = claims.groupby(["day", "institution_id"])["patient_id"].nunique()
    days = people[people >= MEETING].index.get_level_values("day").unique()
    for day in sorted(days):
        noon = pd.Timestamp(day)
        yield {
            "type": "rect",
            "layer": "below",
            "xref": "x",
            "yref": "paper",
            "x0": f"{noon - pd.Timedelta(hours=16):%Y-%m-%d %H:%M}",
            "x1": f"{noon + pd.Timedelta(hours=16):%Y-%m-%d %H:%M}",
            "y0": 0,
            "y1": 1,
            "fillcolor": "#f3e6f5",
            "line": {"width": 0},
        }


def _frame(height: int) -> dict[str, Any]:
    return {
        "template": None,
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 10, "b": 30},
        "font": _FONT,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"align": "left", "bgcolor": "#fff"},
    }
