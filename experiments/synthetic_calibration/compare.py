"""Compare a synthetic city with real Chinese settlement statistics, per person over six months.

    python experiments/synthetic_calibration/compare.py [--patients 20000] [--seed 7]

The real statistics describe frequent users of outpatient care (chronic patients: 5.8 months with a
visit out of 6, no hospital days). The synthetic cohort that compares with them: holders of a chronic
certificate who have outpatient or pharmacy claims in at least five of six months;
stays are left out. Consultation fees count as treatment, as the real 治疗费 does (its lower quartile is
about 10 yuan a visit). The real file is looked for in the folder that FRAUD_REAL_DATA names, or in
../shared/data beside the checkout; without it the table shows the synthetic side alone.
"""

import argparse
import csv
import os
import sys
import tempfile
from pathlib import Path

import duckdb

from fraud.synthetic import generate

HERE = Path(__file__).resolve().parent
STATS = ("mean", "25%", "50%", "75%")
PATENT = "drug_class like 'Z%'"

# real name -> (English, SQL over one row per person)
PERSON = {
    "就诊的月数": ("months with a visit", "months"),
    "就诊次数_SUM": ("visits", "visits"),
    "月就诊次数_AVG": ("visits a month, mean", "month_visits_avg"),
    "月就诊次数_MAX": ("visits a month, most", "month_visits_max"),
    "交易时间DD_NN": ("days with a visit", "days"),
    "月就诊天数_AVG": ("days a month, mean", "month_days_avg"),
    "月就诊天数_MAX": ("days a month, most", "month_days_max"),
    "医院编码_NN": ("institutions", "places"),
    "月就诊医院数_AVG": ("institutions a month, mean", "month_places_avg"),
    "月就诊医院数_MAX": ("institutions a month, most", "month_places_max"),
    "一天去两家医院的天数": ("days at two institutions", "two_place_days"),
    "医院_就诊天数_MAX": ("days at the main institution", "place_days_max"),
    "医院_就诊天数_AVG": ("days per institution, mean", "place_days_avg"),
    "ALL_SUM": ("total amount", "total"),
    "统筹支付金额_SUM": ("fund amount", "fund"),
    "月统筹金额_AVG": ("fund amount a month, mean", "month_fund_avg"),
    "月统筹金额_MAX": ("fund amount a month, most", "month_fund_max"),
    "医院_统筹金_MAX": ("fund amount at the main institution", "place_fund_max"),
    "医院_统筹金_AVG": ("fund amount per institution, mean", "place_fund_avg"),
    "药品费发生金额_SUM": ("drugs", "drugs"),
    "药品费申报金额_SUM": ("drugs within scope", "drugs_eligible"),
    "月药品金额_AVG": ("drugs a month, mean", "month_drugs_avg"),
    "月药品金额_MAX": ("drugs a month, most", "month_drugs_max"),
    "中成药费发生金额_SUM": ("patent herbal medicine", "patent"),
    "中草药费发生金额_SUM": ("herbs", "herbs"),
    "检查费发生金额_SUM": ("exams", "exams"),
    "治疗费发生金额_SUM": ("treatments", "treatments"),
    "手术费发生金额_SUM": ("surgery", "surgery"),
    "医用材料发生金额_SUM": ("consumables", "consumables"),
    "本次审批金额_SUM": ("eligible amount", "eligible"),
    "出院诊断病种名称_NN": ("distinct diagnoses", "diagnoses"),
    "药品在总金额中的占比": ("drugs / total", "drugs / total"),
    "检查总费用在总金额占比": ("exams / total", "exams / total"),
    "治疗费用在总金额占比": ("treatments / total", "treatments / total"),
}

QUERY = f"""
with c as (
  select claims.*, cast(settled_at as date) as d, date_trunc('month', settled_at) as m
  from claims join patients using (patient_id)
  where len(chronic_certificates) > 0 and visit_type not in ('inpatient', 'day_surgery', 'maternity')
    and settled_at >= $first and settled_at < $first + interval 6 month
), l as (
  select claim_id,
    coalesce(sum(amount) filter (category in ('drug', 'herb')), 0)::double as drugs,
    coalesce(sum(lines.eligible_amount) filter (category in ('drug', 'herb')), 0)::double as drugs_eligible,
    coalesce(sum(amount) filter (category = 'herb'), 0)::double as herbs,
    coalesce(sum(amount) filter (category = 'drug' and {PATENT}), 0)::double as patent,
    coalesce(sum(amount) filter (category = 'exam'), 0)::double as exams,
    coalesce(sum(amount) filter (category in ('treatment', 'consultation', 'nursing')), 0)::double
      as treatments,
    coalesce(sum(amount) filter (category = 'surgery'), 0)::double as surgery,
    coalesce(sum(amount) filter (category = 'consumable'), 0)::double as consumables
  from lines left join (select item_code, drug_class from items) using (item_code) group by claim_id
), x as (select * from c left join l using (claim_id)),
by_month as (
  select patient_id, m, count(*) filter (total_amount > 0) as visits, count(distinct d) as days,
    count(distinct institution_id) as places, sum(fund_amount)::double as fund, sum(drugs) as drugs
  from x group by all
), by_place as (
  select patient_id, institution_id, count(distinct d) as days, sum(fund_amount)::double as fund
  from x group by all
), by_day as (select patient_id, d, count(distinct institution_id) as places from x group by all),
two as (select patient_id, count(*) filter (places > 1) as two_place_days from by_day group by all),
month_stats as (
  select patient_id, count(*) as months, avg(visits) as month_visits_avg, max(visits) as month_visits_max,
    avg(days) as month_days_avg, max(days) as month_days_max, avg(places) as month_places_avg,
    max(places) as month_places_max, avg(fund) as month_fund_avg, max(fund) as month_fund_max,
    avg(drugs) as month_drugs_avg, max(drugs) as month_drugs_max
  from by_month group by all
), place_stats as (
  select patient_id, count(*) as places, max(days) as place_days_max, avg(days) as place_days_avg,
    max(fund) as place_fund_max, avg(fund) as place_fund_avg
  from by_place group by all
), person as (
  select patient_id, count(*) filter (total_amount > 0) as visits, count(distinct d) as days,
    sum(total_amount)::double as total, sum(fund_amount)::double as fund,
    sum(eligible_amount)::double as eligible, sum(drugs) as drugs, sum(drugs_eligible) as drugs_eligible,
    sum(herbs) as herbs, sum(patent) as patent, sum(exams) as exams, sum(treatments) as treatments,
    sum(surgery) as surgery, sum(consumables) as consumables, count(distinct diagnosis_code) as diagnoses
  from x group by all
)
select * from person join month_stats using (patient_id) join place_stats using (patient_id)
join two using (patient_id) where months >= 5 and total > 0
"""


def real_file() -> Path | None:
    folders = [os.environ.get("FRAUD_REAL_DATA"), HERE.parents[2] / "shared" / "data"]
    for folder in folders:
        path = Path(folder, "cn_settlement_stats", "class_summary_stats.csv") if folder else None
        if path and path.exists():
            return path
    return None


def real_stats() -> dict[str, dict[str, float]]:
    path = real_file()
    if path is None:
        print(
            "The real statistics are absent; set FRAUD_REAL_DATA. Only the synthetic side is shown.",
            file=sys.stderr,
        )
        return {}
    with path.open(encoding="utf-8-sig") as f:
        rows = [r for r in csv.DictReader(f) if r["group"] == "nonfraud"]
    return {r["feature"]: {s: float(r[s]) for s in STATS} for r in rows}


def synthetic_stats(city: Path, first: str) -> tuple[int, dict[str, dict[str, float]]]:
    db = duckdb.connect()
    for table in ("claims", "lines", "patients", "items"):
        db.execute(f"create view {table} as select * from '{city}/{table}.parquet'")
    db.execute("create table p as " + QUERY.replace("$first", f"timestamp '{first}-01'"))
    n = db.execute("select count(*) from p").fetchall()[0][0]
    out = {}
    for name, (_, sql) in PERSON.items():
        row = db.execute(
            "select avg(x), quantile_cont(x, 0.25), median(x), quantile_cont(x, 0.75) "
            f"from (select {sql} as x from p)"
        )
        out[name] = dict(zip(STATS, row.fetchall()[0], strict=True))
    return n, out


def number(x: float) -> str:
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.2f}" if abs(x) < 1 else f"{x:.1f}"


def table(patients: int, seed: int) -> str:
    with tempfile.TemporaryDirectory() as tmp:
        city = Path(tmp, "city")
        generate(city, patients=patients, months=8, seed=seed)
        n, ours = synthetic_stats(city, "2025-02")
    real = real_stats()
    lines = [
        "# Synthetic city against real settlement statistics",
        "",
        f"{n:,} certificate holders with outpatient or pharmacy claims in at least five of six months, of a "
        f"city of {patients:,} (seed {seed}), against the people not marked fraudulent in the real data "
        "(frequent outpatient users over about six months). Real → synthetic; amounts in yuan.",
        "",
        "| per person, six months | 原名 | mean | 25 % | median | 75 % |",
        "|---|---|---|---|---|---|",
    ]
    for name, (english, _) in PERSON.items():
        cells = []
        for s in STATS:
            theirs = number(real[name][s]) if name in real else "–"
            cells.append(f"{theirs} → {number(ours[name][s])}")
        lines.append(f"| {english} | {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Again: `python experiments/synthetic_calibration/compare.py --patients {patients} --seed {seed}`",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    text = table(args.patients, args.seed)
    print(text)
    (HERE / "table.md").write_text(text, encoding="utf-8")
