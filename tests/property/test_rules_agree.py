"""Random claims and random rules: the batch and the screen find the same."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fraud.rules.knowledge import DrugClasses
from fraud.rules.records import Rule
from fraud.rules.rule_set import RuleSet
from tests.rule_tables import apply, write

ITEMS = ("i1", "i2", "i3", "i4", "i5")
CLASSES = {"i1": "A10BA", "i2": "A10BB", "i3": "J01CA", "i4": None, "i5": None}
CATEGORIES = {"i1": "drug", "i2": "drug", "i3": "drug", "i4": "exam", "i5": "bed"}
DIAGNOSES = ("E11.9", "K30", "O20.000", "N93", "")
SELECTORS = (
    "class:A10",
    "class:J01|code:i4",
    "category:drug|!code:i2",
    "name:item",
    "category:bed|category:exam",
    "code:i1",
)
DIAGNOSIS_SELECTORS = ("E10-E14", "O|N80-N98", "K30", "E|K|!E11.9")
START = dt.datetime(2026, 1, 5, 9)
TYPES = ("outpatient", "inpatient", "pharmacy", "chronic")


@st.composite
def claims(draw: st.DrawFn) -> dict[str, list[dict[str, object]]]:
    """A few claims of two patients, with lines, over about a hundred days."""
    rows: dict[str, list[dict[str, object]]] = {"claims": [], "lines": [], "diagnoses": []}
    for number in range(draw(st.integers(1, 12))):
        begin = START + dt.timedelta(days=draw(st.integers(0, 100)), hours=draw(st.sampled_from((0, 0, 5))))
        kind = draw(st.sampled_from(TYPES))
        stay = kind == "inpatient"
        end = begin + dt.timedelta(days=draw(st.integers(0, 9)) if stay else 0)
        claim = f"c{number}"
        total = 0
        for line in range(draw(st.integers(0, 5))):
            quantity = draw(st.sampled_from((1.0, 2.0, 30.0, -1.0, 0.5)))
            price = draw(st.sampled_from((1.0, 12.5, 300.0)))
            amount = round(quantity * price * draw(st.sampled_from((1, 1, 1, 2))), 2)
            total += amount
            item = draw(st.sampled_from(ITEMS))
            rows["lines"].append(
                {
                    "line_id": f"{claim}.{line}",
                    "claim_id": claim,
                    "item_code": item,
                    "item_name": f"item {item}",
                    "category": CATEGORIES[item],
                    "quantity": quantity,
                    "unit_price": price,
                    "amount": Decimal(f"{amount:.2f}"),
                    "charged_at": begin + dt.timedelta(days=draw(st.integers(-1, 4))),
                    "days_supply": draw(st.sampled_from((None, 7.0, 30.0))),
                }
            )
        total = max(round(total, 2), 1)
        code = draw(st.sampled_from(DIAGNOSES))
        rows["claims"].append(
            {
                "claim_id": claim,
                "patient_id": draw(st.sampled_from(("p1", "p2"))),
                "visit_type": kind,
                "institution_id": draw(st.sampled_from(("h1", "h2"))),
                "doctor_id": draw(st.sampled_from(("d1", "d2", None))),
                "started_at": begin,
                "ended_at": end,
                "settled_at": end,
                "diagnosis_code": code or None,
                "total_amount": Decimal(f"{total:.2f}"),
                "fund_amount": Decimal(f"{total / 2:.2f}"),
                "visit_id": draw(st.sampled_from((None, "v1", f"v{number}x"))),
            }
        )
        if draw(st.booleans()):
            rows["diagnoses"].append(
                {"claim_id": claim, "position": 2, "code": draw(st.sampled_from(DIAGNOSES[:4]))}
            )
    rows["patients"] = [
        {
            "patient_id": "p1",
            "sex": "F",
            "birth_date": dt.date(1990, 1, 20),
            "death_date": dt.date(2026, 3, 1),
        },
        {
            "patient_id": "p2",
            "sex": draw(st.sampled_from(("M", None))),
            "birth_date": dt.date(2026, 2, 1) - dt.timedelta(days=draw(st.integers(0, 9000))),
            "death_date": None,
        },
    ]
    rows["doctors"] = [
        {"doctor_id": "d1", "institution_id": "h1", "specialty": "stomatology"},
        {
            "doctor_id": "d2",
            "institution_id": "h1",
            "specialty": draw(st.sampled_from(("general", "A04.01"))),
        },
    ]
    rows["institutions"] = [
        {"institution_id": "h1", "kind": "tertiary"},
        {"institution_id": "h2", "kind": "pharmacy"},
    ]
    rows["items"] = [
        {
            "item_code": i,
            "name": f"item {i}",
            "category": CATEGORIES[i],
            "drug_class": CLASSES[i],
            "days_per_unit": 1.5 if i == "i1" else None,
            "price_limit": Decimal("10.00") if i == "i2" else None,
        }
        for i in ITEMS[:4]
    ]
    return {t: r for t, r in rows.items() if r}


def _some(draw: st.DrawFn, **choices: object) -> dict[str, object]:
    """Some of the parameters, each with one of its values."""
    return {k: draw(st.sampled_from(v)) for k, v in choices.items() if draw(st.integers(0, 3)) == 0}


@st.composite
def rule(draw: st.DrawFn, number: int) -> Rule:
    """One rule of any kind the screen knows."""
    kind = draw(
        st.sampled_from(
            (
                "limit",
                "companion",
                "pair",
                "frequency",
                "quantity",
                "overlap",
                "sequence",
                "share",
                "idle",
                "anomaly",
            )
        )
    )
    items = st.sampled_from(SELECTORS)
    more: dict[str, object] = {"items": draw(items)}
    windows = st.sampled_from(("visit", "day"))
    if kind == "limit":
        more |= {
            "diagnoses": draw(st.sampled_from(DIAGNOSIS_SELECTORS)),
            "diagnosis_days": draw(st.sampled_from((0, 30))),
        }
        more |= _some(
            draw,
            sex=("F", "M"),
            min_age=(18.0,),
            max_age=(64.0,),
            visit_types=(("outpatient",),),
            institution_kinds=(("tertiary",),),
            specialties=(("general",),),
            excluded_diagnoses=("K",),
        )
    elif kind == "companion":
        more |= {"partners": draw(items), "window": draw(windows)}
    elif kind == "pair":
        more |= {"excluded": draw(items), "window": draw(windows)}
    elif kind == "frequency":
        more |= {
            "unit": draw(st.sampled_from(("times", "days", "claims"))),
            "limit": draw(st.sampled_from((0.0, 1.0, 3.0))),
            "window": draw(st.sampled_from(("visit", "day", "month", "quarter", "year", "30d"))),
            "per": draw(st.sampled_from(("item", "class", "all"))),
        }
    elif kind == "quantity":
        more |= {
            "unit": draw(st.sampled_from(("quantity", "supply_days"))),
            "limit": draw(st.sampled_from((1.0, 20.0))),
            "carry": draw(st.booleans()),
            "per": draw(st.sampled_from(("item", "class", "all"))),
        }
    elif kind == "overlap":
        more |= {
            "what": draw(st.sampled_from(("supply", "stay", "inside_stay"))),
            "limit": draw(st.sampled_from((0.0, 1.0, 5.0))),
            "across": draw(st.sampled_from(("any", "doctor", "institution"))),
        }
    elif kind == "sequence":
        more |= {
            "what": draw(st.sampled_from(("after_death", "before_birth", "outside_stay", "readmission"))),
            "limit": draw(st.sampled_from((1.0, 7.0))),
        }
    elif kind == "share":
        more |= {"limit": draw(st.sampled_from((0.1, 0.6))), "least": draw(st.sampled_from((0.0, 100.0)))}
    elif kind == "idle":
        more |= {"limit": draw(st.sampled_from((0.0, 1.0)))}
    else:
        more |= {
            "what": draw(
                st.sampled_from(
                    (
                        "line_amount",
                        "claim_total",
                        "quantity",
                        "dates",
                        "diagnosis_code",
                        "doctor_code",
                        "no_diagnosis",
                        "price_limit",
                        "repeated_line",
                    )
                )
            )
        }
    more |= _some(
        draw,
        when_diagnoses=DIAGNOSIS_SELECTORS,
        unless_diagnoses=DIAGNOSIS_SELECTORS,
        unless_visit_types=(("pharmacy",),),
        when_min_age=(19.0,),
        unless_items=("code:i5",),
    )
    return Rule(
        code=f"R-{number}",
        name_zh="规则",
        name_en="rule",
        explanation_zh="说明",
        explanation_en="text",
        result="suspicious",
        kind=kind,
        clause="c",
        source="s",
        version="1",
        effective_from="2026-01-20" if draw(st.booleans()) else "2020-01-01",
        **more,
    )


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    """A few rules."""
    rules = [draw(rule(n)) for n in range(draw(st.integers(6, 14)))]
    return RuleSet({r.code: r for r in rules}, {}, DrugClasses([]), (), "")


# Shrinking would build dozens of datasets more; a failing example is small enough to read.
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(claims(), rule_sets())
def test_batch_and_single_find_the_same(tables, rules):
    with TemporaryDirectory() as folder:
        dataset = write(Path(folder) / "data", tables)
        both = apply(dataset, Path(folder) / "work", ("2026-01", "2026-02", "2026-03", "2026-04"), rules)
    assert both.batch == both.single
    assert both.batch_others == both.single_others
