"""One prescription: what is understood, what it means to the rules, and what the doctor is told."""

from __future__ import annotations

import copy
import time

import pytest

from fraud.errors import UsageError
from fraud.rules.moments import moment
from fraud.rules.past import History, Visit
from fraud.rules.prescription import check_prescription, encounter_of, result_id
from fraud.rules.request import Prescription, national_names, parse
from fraud.rules.screen import Screen
from fraud.service.described import EXAMPLE, NATIONAL_EXAMPLE


@pytest.fixture(scope="module")
def screen() -> Screen:
    return Screen.load()


def own(**changes):
    """The example with parts replaced: patient__sex="M"."""
    body = copy.deepcopy(EXAMPLE)
    for path, value in changes.items():
        part, _, field = path.partition("__")
        if field:
            body[part][field] = value
        else:
            body[part] = value
    return body


def national(patient=None, encounter=None, order=None):
    """The national example with fields replaced."""
    body = copy.deepcopy(NATIONAL_EXAMPLE)
    one = body["data"]["patient_dtos"][0]
    one |= patient or {}
    one["fsi_encounter_dtos"][0] |= encounter or {}
    one["fsi_encounter_dtos"][0]["fsi_order_dtos"][0] |= order or {}
    return body


class Index:
    """A history index of one patient."""

    version = "v"

    def __init__(self, patient: str, history: History) -> None:
        self.patient, self.history = patient, history

    def of(self, patient: str) -> History:
        return self.history if patient == self.patient else History()


def test_indigestion_and_progesterone(screen):
    """The seed's case: 消化不良 and 黄体酮."""
    begun = time.perf_counter()
    answer = check_prescription(EXAMPLE, screen)
    assert time.perf_counter() - begun < 1
    hit = next(h for h in answer.hits if h.rule == "M-INDICATION")
    assert hit.name_zh == "超限定适应症用药"
    assert "黄体酮胶囊" in hit.explanation_zh
    assert "先兆流产" in hit.knowledge["scope_zh"]
    assert "原因不明的阴道出血" in hit.knowledge["contraindications_zh"]
    assert hit.amount == 61.0 and hit.items == ["XG03DA"] and hit.orders == ["1"]
    assert hit.clause and hit.knowledge["source"]


def test_an_indication_among_the_diagnoses_is_no_hit(screen):
    fits = own(encounter__diagnoses=[{"code": "K30"}, {"code": "N92.601"}])
    assert check_prescription(fits, screen).hits == []


def test_an_indication_of_an_earlier_visit_is_no_hit(screen):
    body = own()
    day = encounter_of(Prescription.model_validate(body)).day_in - 30
    earlier = Visit("c0", day * 86_400, 0, day, day, False, "v0", "i", None, "O20", ("O20.000",))
    answer = check_prescription(body, screen, Index("P1", History.of([earlier], {})))  # type: ignore[arg-type]
    assert answer.hits == [] and answer.history == "v" and answer.history_claims == 1


def test_both_forms_mean_the_same():
    ours = parse(own())[0]
    theirs = parse(NATIONAL_EXAMPLE)[0]
    a, b = encounter_of(ours), encounter_of(theirs)
    for name in ("claim_id", "patient_id", "sex", "birth_day", "visit_type", "day_in", "diagnoses"):
        assert getattr(a, name) == getattr(b, name), name
    assert [(o.item_code, o.category, o.quantity, o.amount) for o in a.orders] == [
        (o.item_code, o.category, o.quantity, o.amount) for o in b.orders
    ]


@pytest.mark.parametrize(
    ("encounter", "visit_type"),
    [
        ({"med_type": "11"}, "outpatient"),
        ({"med_type": "13"}, "emergency"),
        ({"med_type": "140104"}, "chronic"),
        ({"med_type": 21}, "inpatient"),
        ({"med_type": "52"}, "maternity"),
        ({"med_type": "9902", "med_mdtrt_type": "2"}, "inpatient"),
        ({"med_type": "9902", "med_mdtrt_type": "3"}, "pharmacy"),
        ({"med_type": "", "med_mdtrt_type": ""}, "other"),
    ],
)
def test_kinds_of_visit(encounter, visit_type):
    assert encounter_of(parse(national(encounter=encounter))[0]).visit_type == visit_type


@pytest.mark.parametrize(
    ("encounter", "kind"),
    [
        ({"medins_lv": "02"}, "tertiary"),
        ({"medins_lv": 5}, "secondary"),
        ({"medins_lv": "9"}, "primary"),
        ({"medins_lv": "11", "medins_type": "B1"}, "primary"),
        ({"medins_lv": "11", "medins_type": "A1"}, None),
        ({"medins_lv": "11", "med_type": "41"}, "pharmacy"),
    ],
)
def test_kinds_of_institution(encounter, kind):
    assert encounter_of(parse(national(encounter=encounter))[0]).institution_kind == kind


def test_what_is_not_known_is_unknown():
    body = national(
        patient={"gend": "9", "brdy": ""},
        encounter={"insutype": "", "dr_codg": "-", "adm_dept_name": "妇产科"},
    )
    e = encounter_of(parse(body)[0])
    assert (e.sex, e.birth_day, e.insurance_type, e.doctor_id, e.specialty) == (None, None, None, None, None)


def test_department_names_tell_a_specialty():
    assert (
        encounter_of(parse(national(encounter={"adm_dept_name": "心血管内科门诊"}))[0]).specialty
        == "cardiology"
    )


def test_pregnancy_goes_beside_a_diagnosis_and_never_alone():
    pregnant = encounter_of(parse(national(encounter={"matn_stas": "1"}))[0])
    assert pregnant.diagnoses == ("K30", "Z33")
    none = {"matn_stas": "1", "dscg_main_dise_codg": "", "fsi_diagnose_dtos": []}
    assert encounter_of(parse(national(encounter=none))[0]).diagnoses == ()


def test_the_principal_diagnosis_comes_first():
    dtos = [{"dise_codg": "I10", "maindise_flag": "0"}, {"dise_codg": "K30", "maindise_flag": "1"}]
    body = national(encounter={"dscg_main_dise_codg": "", "fsi_diagnose_dtos": dtos})
    assert encounter_of(parse(body)[0]).diagnoses == ("K30", "I10")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21",
        "20261121",
        "2026/11/21",
        "2026/11/21 00:00",
        "2026-11-21 00:00:00",
        "2026-11-21T00:00:00.000",
        "20261121000000",
        "2026-11-21 00:00:00+08:00",
    ],
)
def test_dates(text):
    assert moment(text).day == 20778


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-30",
        "2026-13-01",
        "21.11.2026",
        "2026-11-21 25:00",
        "1899-12-31",
        "２０２６-11-21",
        "2026-11-21Z",
        None,
        True,
        3.5,
        [],
        "2026-11-2120",
    ],
)
def test_what_is_no_date(text):
    with pytest.raises(ValueError, match="is |write"):
        moment(text)


def test_a_day_without_a_time_is_over_before_the_check():
    e = encounter_of(parse(own(encounter__started_at="2026-11-21"))[0])
    assert e.settled_second == e.day_in * 86_400 + 86_399
    timed = encounter_of(parse(own(encounter__started_at="2026-11-21 08:30"))[0])
    assert timed.settled_second == timed.day_in * 86_400 + 8 * 3600 + 1800


def test_the_latest_order_is_the_moment_of_an_open_stay():
    orders = [
        {"item_code": "a", "ordered_at": "2026-12-03 10:00"},
        {"item_code": "b", "ordered_at": "2026-11-30"},
    ]
    e = encounter_of(parse(own(encounter__visit_type="inpatient", orders=orders))[0])
    assert (e.day_in, e.day_out, e.month) == (20778, 20790, 2026 * 12 + 11)


def test_amounts():
    orders = [
        {"item_code": "a", "quantity": 3, "unit_price": "0.335"},
        {"item_code": "b", "amount": 12.345},
        {"item_code": "c"},
        {"item_code": "d", "quantity": -1, "unit_price": 2},
    ]
    assert [o.amount for o in encounter_of(parse(own(orders=orders))[0]).orders] == [101, 1235, 1, -200]


def test_an_order_without_a_price_is_checked_and_costs_nothing(screen):
    answer = check_prescription(
        own(orders=[{"order_id": "1", "item_name": "黄体酮胶囊", "category": "drug"}]), screen
    )
    hit = answer.hits[0]
    assert (hit.rule, hit.amount, hit.items, hit.orders) == ("M-INDICATION", 0.0, ["黄体酮胶囊"], ["1"])
    assert answer.answer_3101()[0]["vola_amt_stas"] == "0"


def test_earlier_orders_of_the_visit_tell_but_are_not_told_again(screen):
    assert check_prescription(national(order={"curr_drord_flag": "0"}), screen).hits == []
    assert check_prescription(national(order={"curr_drord_flag": "1"}), screen).hits


def test_the_current_encounter_is_the_one_that_is_checked():
    body = national()
    patient = body["data"]["patient_dtos"][0]
    other = copy.deepcopy(patient["fsi_encounter_dtos"][0]) | {"mdtrt_id": "V0"}
    patient["fsi_encounter_dtos"].append(other)
    assert [p.encounter.encounter_id for p in parse(body)] == ["V1"]
    del patient["curr_mdtrt_id"]
    assert [p.encounter.encounter_id for p in parse(body)] == ["V1", "V0"]


def test_single_objects_and_wrappers_are_understood():
    inner = national()["data"]
    patient = inner["patient_dtos"][0]
    patient["fsi_encounter_dtos"] = patient["fsi_encounter_dtos"][0]
    patient["fsi_encounter_dtos"]["fsi_diagnose_dtos"] = patient["fsi_encounter_dtos"]["fsi_diagnose_dtos"][0]
    for body in (
        {"patient_dtos": patient},
        {"data": {"patient_dtos": [patient]}},
        {"infno": "3101", "input": {"data": {"patient_dtos": patient}}},
    ):
        assert parse(body)[0].encounter.codes == ("K30",)


def test_all_mistakes_are_told_at_once():
    body = own(
        patient__sex="X",
        patient__patient_id="x" * 65,
        encounter__started_at="soon",
        orders=[{"quantity": "inf"}],
    )
    with pytest.raises(UsageError) as error:
        parse(body)
    told = " ".join(error.value.problems)
    for field in ("patient.sex", "patient.patient_id", "encounter.started_at", "orders.0"):
        assert field in told


@pytest.mark.parametrize(
    "order",
    [
        {"item_code": "a", "quantity": 1e12},
        {"item_code": "a", "amount": float("inf")},
        {"item_code": "a", "unit_price": "1e999"},
        {"item_code": "a", "days_supply": -1},
        {"item_code": "\ud800"},
    ],
)
def test_numbers_and_texts_are_bounded(order):
    with pytest.raises(UsageError):
        parse(own(orders=[order]))


def test_orders_are_bounded():
    with pytest.raises(UsageError, match="500"):
        parse(own(orders=[{"item_code": "a"}] * 501))


def test_a_result_has_one_name(screen):
    first, again = (check_prescription(own(), screen).hits[0].result_id for _ in range(2))
    other = check_prescription(own(encounter__encounter_id="V2"), screen).hits[0].result_id
    assert first == again != other
    assert len(first) <= 46 and first.startswith("M-INDICATION.")


def test_a_result_of_a_rule_with_a_long_code_fits_the_national_field(screen):
    hit = screen.check(encounter_of(parse(own())[0]))[0]
    object.__setattr__(hit, "code", "X" * 40)
    assert len(result_id("V1", hit)) <= 46


def test_amounts_of_orders_add_up_to_the_hit(screen):
    orders = [
        {"order_id": str(n), "item_name": "黄体酮胶囊", "item_code": "p", "category": "drug", "amount": 3.33}
        for n in range(3)
    ]
    row = check_prescription(own(orders=orders), screen).answer_3101()[0]
    parts = [d["vola_amt"] for d in row["judge_result_detail_dtos"]]
    assert round(sum(parts), 2) == row["vola_amt"] == 9.99
    assert len({d["jrd_id"] for d in row["judge_result_detail_dtos"]}) == 3


def test_every_field_that_has_a_national_name_tells_it():
    from fraud.rules import request

    for model in (request.PatientIn, request.EncounterIn, request.OrderIn, request.DiagnosisIn):
        for own_name, theirs in national_names(model).items():
            told = model.model_fields[own_name].description or ""
            assert theirs in told or own_name == "days_supply", (own_name, theirs)
