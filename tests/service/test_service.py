"""The HTTP service: answers, reactions on the disk, reload under way, and no request that breaks it."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import asgi
import mutations

from fraud.errors import UsageError
from fraud.rules.reactions import ReactionStore
from fraud.service.app import REMEMBERED, Service, create_app
from fraud.service.body import LARGEST, Refused, parse_json
from fraud.service.current import Current
from fraud.service.described import EXAMPLE, NATIONAL_EXAMPLE
from fraud.service.loading import PIECE, Rests, pieces, pieces_apart

NEW_RULE = """
[[rule]]
code = "X-TEST"
name_zh = "测试"
name_en = "test"
explanation_zh = "测试项目"
explanation_en = "an item of the test"
result = "violation"
kind = "limit"
items = "name:黄体酮"
{condition}
stages = ["before", "during"]
clause = "-"
source = "-"
version = "1"
effective_from = "2020-01-01"
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    return folder


@pytest.fixture
def service(tmp_path: Path, rules: Path) -> Service:
    return Service(Current(str(rules)), ReactionStore(tmp_path / "reactions.sqlite"), None, 0.02)


@pytest.fixture
def app(service: Service):
    return create_app(service)


def run(work):
    return asyncio.run(work)


def test_a_prescription_is_answered_with_rule_scope_and_contraindications(app):
    status, answer = run(asgi.post(app, "/check", EXAMPLE))
    assert status == 200
    assert answer["severity"] == "warn"
    hit = answer["hits"][0]
    assert hit["rule"] == "M-INDICATION"
    assert "先兆流产" in hit["knowledge"]["scope_zh"]
    assert "乳腺" in hit["knowledge"]["contraindications_zh"]


def test_the_national_form_is_answered_with_national_names(app):
    for path in ("/fsi/3101", "/fsi/3102"):
        status, answer = run(asgi.post(app, path, NATIONAL_EXAMPLE))
        assert (status, answer["infcode"]) == (200, 0)
        row = answer["output"]["result"][0]
        assert row["rule_name"] == "超限定适应症用药"
        assert "【适应症】" in row["vola_cont"] and "【禁忌】" in row["vola_cont"]
        assert row["patn_id"] == "P1" and row["mdtrt_id"] == "V1"
        assert row["judge_result_detail_dtos"][0]["rx_id"] == "1"


def test_both_forms_name_a_result_alike(app):
    _, ours = run(asgi.post(app, "/check", EXAMPLE))
    _, national = run(asgi.post(app, "/fsi/3102", NATIONAL_EXAMPLE))
    assert ours["hits"][0]["result_id"] == national["output"]["result"][0]["jr_id"]


def test_a_reaction_is_on_the_disk_when_it_is_answered(app, service, tmp_path):
    _, answer = run(asgi.post(app, "/check", EXAMPLE))
    result = answer["hits"][0]["result_id"]
    warn = {"warn_rslt_id": result, "dspo_way": "2", "dspo_way_rea": ""}
    told = {
        "result_id": result,
        "way": "carry_on",
        "reason": "辅助生殖",
        "doctor_id": "D9",
        "at": "2026/11/21 09:00",
    }
    assert run(asgi.post(app, "/reaction", told)) == (200, {"recorded": 1})
    assert run(asgi.post(app, "/fsi/3103", {"data": {"warn_type": "1", "warns": [warn]}}))[0] == 200
    kept = ReactionStore(tmp_path / "reactions.sqlite").all()
    assert [(r.rule, r.encounter_id, r.way, r.reason, r.doctor_id, r.at) for r in kept] == [
        ("M-INDICATION", "V1", "carry_on", "辅助生殖", "D9", "2026-11-21 09:00:00"),
        ("M-INDICATION", "V1", "change", "", "", ""),
    ]
    assert service.reactions.by_rule() == {"M-INDICATION": {"carry_on": 0, "change": 1}}


@pytest.mark.parametrize(
    "told",
    [
        {"result_id": mutations.RESULT, "way": "carry_on"},
        {"result_id": mutations.RESULT, "way": "perhaps"},
        {"result_id": "'; DROP TABLE reaction; --", "way": "change"},
        {"warns": [{"warn_rslt_id": mutations.RESULT, "dspo_way": "1", "dspo_way_rea": " "}]},
        {
            "warns": [
                {"warn_rslt_id": mutations.RESULT, "dspo_way": "2"},
                {"warn_rslt_id": "x", "dspo_way": "2"},
            ]
        },
    ],
)
def test_a_mistaken_reaction_is_refused_and_nothing_is_written(app, service, told):
    status, answer = run(asgi.post(app, "/reaction", told))
    assert status == 422 and answer["problems"]
    assert service.reactions.all() == []


def test_ids_are_stored_and_looked_up_as_pseudonyms(tmp_path, rules):
    service = Service(Current(str(rules)), ReactionStore(tmp_path / "r.sqlite"), b"a key for this test", 0)
    app = create_app(service)
    _, answer = run(asgi.post(app, "/check", EXAMPLE))
    assert answer["encounter_id"] == "V1"
    run(
        asgi.post(
            app,
            "/reaction",
            {"result_id": answer["hits"][0]["result_id"], "way": "change", "doctor_id": "D1"},
        )
    )
    kept = service.reactions.all()[0]
    assert kept.encounter_id.startswith("V") and len(kept.encounter_id) == 25
    assert kept.doctor_id.startswith("D") and len(kept.doctor_id) == 25


SECRET = "SECRET-PATIENT-VALUE"


@pytest.mark.parametrize(
    "body",
    [
        {
            **EXAMPLE,
            "patient": {"patient_id": SECRET * 9, "sex": SECRET, "birth_date": SECRET, "birth_year": SECRET},
        },
        {
            **EXAMPLE,
            "orders": [{"item_code": "x", "quantity": SECRET, "ordered_at": SECRET, "category": SECRET}],
        },
        {**EXAMPLE, "encounter": {"encounter_id": SECRET * 9, "visit_type": SECRET, "started_at": SECRET}},
        {SECRET: 1},
        {
            "data": {
                "patient_dtos": [
                    {"patn_id": SECRET, "brdy": SECRET, "fsi_encounter_dtos": [{SECRET: SECRET}]}
                ]
            }
        },
    ],
)
def test_a_refusal_names_fields_and_no_value(app, body, caplog):
    with caplog.at_level(logging.DEBUG):
        for path in ("/check", "/fsi/3101"):
            status, answer = run(asgi.post(app, path, body))
            assert status == 422
            assert SECRET not in json.dumps(answer, ensure_ascii=False)
    assert SECRET not in caplog.text


def test_a_refusal_of_the_national_form_uses_its_names(app):
    body = {
        "data": {
            "patient_dtos": [
                {"fsi_encounter_dtos": [{"fsi_order_dtos": [{"hilist_code": "x", "cnt": "many"}]}]}
            ]
        }
    }
    _, answer = run(asgi.post(app, "/fsi/3101", body))
    text = " ".join(answer["problems"])
    assert answer["infcode"] == -1
    for name in (
        "patient_dtos.0.patn_id",
        "fsi_encounter_dtos.0.mdtrt_id",
        "fsi_encounter_dtos.0.fsi_order_dtos.0.cnt",
    ):
        assert name in text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xff", 400),
        (b'{"a":1,"a":2}', 400),
        (b"[NaN]", 400),
        (b"[" * 200_000, 400),
        (b"1" * 5000, 400),
        (b" " * (LARGEST + 1), 413),
        (b"[]", 422),
        (b"null", 422),
    ],
)
def test_what_is_no_request_is_refused(app, body, status):
    for path in ("/check", "/fsi/3102", "/reaction", "/fsi/3103"):
        assert run(asgi.call(app, "POST", path, body))[0] == status


def test_strict_json_tells_where_it_breaks():
    with pytest.raises(Refused) as refused:
        parse_json('{\n "a": é}'.encode())
    assert refused.value.problems == ("body: is no JSON (line 2, column 7).",)


def test_a_log_that_cannot_be_written_is_told_and_not_acknowledged(app, service):
    service.reactions._connection.execute("DROP TABLE reaction")
    status, answer = run(asgi.post(app, "/reaction", mutations.REACTION))
    assert status == 503 and "send them again" in answer["problems"][0]


def test_an_edit_is_live_without_restart_and_no_request_is_dropped(app, service, rules):
    edited = rules / "own.toml"

    async def work():
        statuses: Counter[int] = Counter()
        seen = []
        async with app.router.lifespan_context(app):
            for round_ in range(4):
                if round_ == 1:
                    edited.write_text(NEW_RULE.format(condition='sex = "M"'), encoding="utf-8")
                if round_ == 2:
                    edited.write_text("[[rule]]\ncode = 1", encoding="utf-8")
                if round_ == 3:
                    edited.unlink()
                before = (service.current.reloads, service.current.error)
                until = time.monotonic() + 60
                while time.monotonic() < until:
                    status, answer = await asgi.post(app, "/check", EXAMPLE)
                    statuses[status] += 1
                    await asyncio.sleep(0.001)
                    if round_ == 0 or (service.current.reloads, service.current.error) != before:
                        break
                _, answer = await asgi.post(app, "/check", EXAMPLE)
                _, health = await asgi.get(app, "/health")
                seen.append(
                    ({h["rule"] for h in answer["hits"]}, health["status"], bool(health["reload_error"]))
                )
        return statuses, seen

    statuses, seen = run(work())
    assert set(statuses) == {200}
    assert "X-TEST" not in seen[0][0]
    assert "X-TEST" in seen[1][0]
    assert "X-TEST" in seen[2][0] and seen[2][1:] == ("old rules", True)  # a mistake keeps the old rules
    assert "X-TEST" not in seen[3][0] and seen[3][1:] == ("ok", False)


def test_what_another_process_reads_is_the_same(rules):
    (rules / "own.toml").write_text(NEW_RULE.format(condition='sex = "M"'), encoding="utf-8")
    here, there = ([pickle.loads(p) for p in told(str(rules), "")] for told in (pieces, pieces_apart))
    assert here[0][0] == there[0][0]
    assert here[1:] == there[1:]
    assert max(len(p) for p in here[1:]) <= PIECE
    assert any(check.rule.code == "X-TEST" for piece in there[1:] for check in piece)
    (rules / "own.toml").write_text("[[rule]]\ncode = 1", encoding="utf-8")
    with pytest.raises(UsageError, match=r"own\.toml"):
        list(pieces_apart(str(rules), ""))


def test_what_is_unchanged_is_not_loaded_again(app, service, rules):
    before = service.current.loaded
    assert run(asgi.post(app, "/reload", {}))[0] == 200
    assert service.current.loaded is before and service.current.reloads == 0
    (rules / "own.toml").write_text(NEW_RULE.format(condition='sex = "M"'), encoding="utf-8")
    assert run(asgi.post(app, "/reload", {}))[0] == 200
    assert service.current.loaded is not before and service.current.reloads == 1


def test_work_in_pieces_rests_only_once_enough_is_done(monkeypatch):
    now, slept = iter([0.0, 0.0004, 0.0006, 0.0006, 0.0007]), []
    clock = SimpleNamespace(perf_counter=lambda: next(now), sleep=slept.append)
    monkeypatch.setattr("fraud.service.loading.time", clock)
    rests = Rests(work=0.0005, rest=0.004)
    for _ in range(3):
        rests()
    assert slept == [0.004]


def test_reload_on_demand_tells_mistakes_with_file_and_field(app, rules):
    (rules / "own.toml").write_text(NEW_RULE.format(condition='sex = "X"'), encoding="utf-8")
    status, answer = run(asgi.post(app, "/reload", {}))
    assert status == 409
    assert "own.toml" in answer["reload_error"][0] and "sex" in answer["reload_error"][0]


def test_health_tells_versions(app, service):
    status, health = run(asgi.get(app, "/health"))
    assert status == 200
    assert health["rules"] == service.current.loaded.screens["during"].version
    assert health["checks_during"] >= health["checks_before"] > 300
    assert health["history"] == ""


def test_openapi_describes_every_path_and_resolves(app):
    status, told = run(asgi.get(app, "/openapi.json"))
    assert status == 200
    assert set(told["paths"]) == {
        "/check",
        "/fsi/3101",
        "/fsi/3102",
        "/fsi/3103",
        "/reaction",
        "/health",
        "/reload",
    }
    text = json.dumps(told)
    for reference in set(text.split('"#/components/schemas/')[1:]):
        assert reference.split('"')[0] in told["components"]["schemas"]
    for name in ("hilist_code", "drord_begn_date", "dise_codg", "patn_id", "warn_rslt_id"):
        assert name in text


def test_what_is_remembered_of_results_is_bounded(app, service):
    service.results.update((str(n), ("", "")) for n in range(REMEMBERED))
    run(asgi.post(app, "/check", EXAMPLE))
    assert len(service.results) == REMEMBERED


def test_malformed_requests_never_break_it_and_nothing_acknowledged_is_lost(app, service):
    async def work():
        statuses: Counter[int] = Counter()
        acknowledged = 0
        for method, path, body, headers in mutations.requests(seed=5, count=2000):
            status, answer = await asgi.call(app, method, path, body, headers)
            statuses[status] += 1
            if status == 200 and method == "POST" and path in ("/reaction", "/fsi/3103"):
                told = json.loads(answer)
                acknowledged += told.get("recorded") or told["output"]["recorded"]
        return statuses, acknowledged

    statuses, acknowledged = run(work())
    assert max(statuses) < 500, statuses
    assert statuses[200] > 100 and statuses[422] > 300 and statuses[400] > 300 and statuses[413] > 5
    assert len(service.reactions.all()) == acknowledged > 20
