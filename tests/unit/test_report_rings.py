"""Pictures and page of rings: what they show, the same every time, and no id becomes markup."""

import dataclasses
import html
import json

import pytest

from fraud.report import ring_pictures
from fraud.report.rings_page import RingsContent, render_rings, write_rings_page
from tests.unit.ring_frames import DOCTORS, PHARMACY, made, none_found


@pytest.fixture(scope="module")
def rings():
    return made()


def page(rings):
    return render_rings(RingsContent("2025-08", "2026-07", rings, {"rings: addresses": "patients.address"}))


def test_graph_holds_members_meetings_and_claims(rings):
    graph = ring_pictures.graph(rings, PHARMACY)
    assert len(graph) == 12
    assert graph.nodes["operator:O0815"]["role"] == "organiser"
    assert graph.nodes["institution:H077"]["claims"] == 64
    person = graph.nodes["patient:P003"]
    own = rings.claims[rings.claims["patient_id"] == "P003"]
    assert (person["claims"], person["amount"]) == (len(own), pytest.approx(own["amount"].sum()))
    relations = {relation for *_, relation in graph.edges(data="relation")}
    assert relations == {"meetings", "claims"}
    with pytest.raises(KeyError):
        ring_pictures.graph(rings, "R-none")


def test_pictures_are_the_same_every_time(rings):
    for ring in (PHARMACY, DOCTORS):
        for draw in (ring_pictures.network, ring_pictures.timeline):
            assert draw(rings, ring).to_json(engine="json") == draw(rings, ring).to_json(engine="json")


def test_row_order_does_not_change_the_pictures(rings):
    shuffled = dataclasses.replace(
        rings,
        members=rings.members.sample(frac=1, random_state=3),
        claims=rings.claims.sample(frac=1, random_state=3),
        edges=rings.edges.sample(frac=1, random_state=3),
    )
    for draw in (ring_pictures.network, ring_pictures.timeline):
        left, right = draw(rings, PHARMACY), draw(shuffled, PHARMACY)
        assert left.to_json(engine="json") == right.to_json(engine="json")


def test_timeline_has_a_dot_per_claim_and_marks_meetings(rings):
    figure = ring_pictures.timeline(rings, PHARMACY)
    assert sum(len(trace.x) for trace in figure.data) == 64
    assert len(figure.layout.shapes) == 8
    assert not ring_pictures.timeline(rings, DOCTORS).layout.shapes


def test_network_tells_members_on_hovering(rings):
    told = [text for trace in ring_pictures.network(rings, PHARMACY).data for text in trace.hovertext or ()]
    assert len(told) == 12
    assert any("O0815" in text and "组织者" in text for text in told)


def test_large_rings_are_drawn_in_part(rings, monkeypatch):
    monkeypatch.setattr(ring_pictures, "MOST_NODES", 5)
    monkeypatch.setattr(ring_pictures, "MOST_ROWS", 4)
    drawn = [t for t in ring_pictures.network(rings, PHARMACY).data if t.hovertext]
    assert sum(len(trace.x) for trace in drawn) == 5
    rows = {y for trace in ring_pictures.timeline(rings, PHARMACY).data for y in trace.y}
    assert len(rows) == 4


def test_page_says_what_was_done_and_what_was_checked(rings):
    text = html.unescape(page(rings))
    for ring in rings.rings.to_dict("records"):
        evidence = json.loads(ring["evidence"])
        assert f'id="{ring["ring_id"]}"' in text
        for told in (evidence, *evidence["measures"], *evidence["explanations"]):
            for words in (told.get("summary_zh"), told.get("zh"), told.get("summary_en"), told.get("en")):
                assert words is None or words in text
    assert text.count("已核查，不能解释") == 5
    assert "patients.address" in text


def test_page_is_the_same_every_time_and_opens_without_a_network(rings, tmp_path):
    path = write_rings_page(RingsContent("2025-08", "2026-07", rings), tmp_path)
    first = path.read_bytes()
    write_rings_page(RingsContent("2025-08", "2026-07", rings), tmp_path)
    assert path.read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plotly.min.js", "rings.html"]
    text = first.decode()
    assert '<script src="plotly.min.js">' in text
    assert "http://" not in text
    assert "https://" not in text


def test_an_id_is_never_markup(rings):
    nasty = "<img src=x>"
    bad = {
        "members": rings.members.replace("P003", nasty),
        "claims": rings.claims.replace("P003", nasty),
        "edges": rings.edges.replace("P003", nasty),
    }
    assert nasty not in page(dataclasses.replace(rings, **bad))


def test_page_without_rings():
    assert "没有发现团伙" in page(none_found())


def test_every_kind_and_role_has_words():
    from fraud.report.content import RING_STATUS_WORDS, RING_WORDS, ROLE_WORDS
    from fraud.rings.words import KINDS
    from fraud.runs.tables import RING_STATUSES

    assert set(KINDS) <= set(RING_WORDS)
    assert set(RING_STATUS_WORDS) == set(RING_STATUSES)
    roles = "organiser carrier member prescriber pharmacy place operator sender receiver"
    assert set(roles.split()) == set(ROLE_WORDS)
