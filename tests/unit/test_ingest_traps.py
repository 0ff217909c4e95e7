# ruff: noqa: E501 (tables are easier to read unbroken)
"""The loading traps of the domain, each with the smallest data that would spring it."""

import datetime
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.errors import DataError, UsageError
from fraud.ingest import canonical_dataset, check, ingest
from fraud.ingest.profile import load_profile
from fraud.privacy import KEY_VARIABLE, pseudonym
from fraud.rules.parameters import SPECIALTIES
from fraud.settings import EngineSettings, Settings

SETTINGS = Settings(engine=EngineSettings(memory_limit="500MB", threads=1))
KEY = "a key that only tests use"

SETL = """setl_id,mdtrt_id,psn_no,psn_name,certno,fixmedins_code,med_type,begndate,enddate,setl_time,medfee_sumamt,\
fund_pay_sumamt,inscp_amt,gend,brdy,insutype,insu_admdvs,fix_blng_admdvs,opter_id,ipt_days,vali_flag
S1,M1,00012,张三,X,H001,21,,,2026-03-09 10:00:00,100.00,60.00,90.00,1,1960-01-02,310,330100,330102,9001,,1
S2,M2,00013,李四,X,H001,22,,,20260310101500,50.00,30.00,50.00,2,19700102,390,330100,120101,9001,,1
S3,M3,00012,张三,X,P009,41,2026-03-11,2026-03-11,2026/03/11,20.00,0,20.00,1,1960-01-02,310,330100,330100,9002,,1
S4,M4,00013,李四,X,H001,99,2026-03-12,2026-03-12,2026年3月12日 8时5分,10.00,5.00,10.00,2,19700102,390,330100,330100,9002,,1
S5,M2,00013,李四,X,H001,22,2026-03-08,2026-03-10,2026-03-10,-50.00,-30.00,-50.00,2,19700102,390,330100,330100,9001,,1
S6,M6,00014,王五,X,H001,11,2026-03-08,2026-03-08,2026-03-08,11.00,3.00,11.00,0,,390,330100,330100,9001,,0
S7,M7,00014,王五,X,H001,21,2026-03-08,,,11.00,3.00,11.00,0,,390,330100,330100,9001,,1
"""
MDTRT = """mdtrt_id,chfpdr_code,dscg_dept_codg,begntime,endtime,dscg_maindiag_code,adm_bed,vali_flag
M1,D330100000001,A03,2026-03-01 08:30:00,2026-03-09 09:00:00,I10.x00,12,1
M2,007,A03,2026-03-08 08:30:00,2026-03-10 09:00:00,J18.900,13,1
M2,D330100000002,A03,2026-03-08 08:30:00,2026-03-10 09:00:00,J18.900,13,0
M3,,,,,,,1
M4,"D330100000001,D330100000002",A11,2026-03-12 08:00:00,,,,1
"""
FEES = """bkkp_sn,setl_id,fixmedins_code,med_list_codg,medins_list_name,med_chrgitm_type,cnt,pric,det_item_fee_sumamt,\
inscp_scp_amt,fee_ocur_time,bilg_dr_codg,bilg_dept_codg,vali_flag
1,S1,H001,XA01,药甲,09,2,30,60.00,60,2026-03-02,D330100000001,A03,1
2,S1,H001,0020,化验,04,1,40,40.00,30,2026-03-02,D330100000001,A03,1
3,S2,H001,0020,化验,77,1,50,50.00,50,2026-03-09,,A03,1
4,S6,H001,0020,化验,04,1,11,11.00,11,2026-03-08,,A03,1
5,,H001,0020,化验,04,1,11,11.00,11,2026-03-08,,A03,1
6,S1,H001,0020,化验,04,1,40,40.00,30,2026-03-02,D330100000001,A03,0
7,S5,H001,0020,化验,04,-1,50,-50.00,-50,2026-03-09,,A03,1
8,S3,P009,XA01,药甲,101,1,20,20.00,20,2026-03-11,,,1
9,S4,H001,0030,挂号,12,1,10,10.00,10,2026-03-12,,A11,1
"""
DIAG = "setl_id,mdtrt_id,diag_srt_no,diag_code,diag_name,inout_diag_type,vali_flag\n,M1,1,I10.x00,高血压,2,1\nS2,M2,1,J18.900,肺炎,2,1\n"


@pytest.fixture
def nhsa(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name, text in (
        ("setl_d", SETL),
        ("mdtrt_d", MDTRT),
        ("fee_list_d", FEES),
        ("SETL_LIST_DIAG_D", DIAG),
    ):
        (source / f"{name}.csv").write_bytes(text.encode("gb18030"))
    return source


def tables(folder):
    return {
        p.stem: {r[next(iter(r))]: r for r in pq.read_table(p).to_pylist()} for p in folder.glob("*.parquet")
    }


def test_national_tables(nhsa, tmp_path):
    report = ingest(nhsa, tmp_path / "out", profile="nhsa", settings=SETTINGS)
    claims = tables(tmp_path / "out")["claims"]
    assert sorted(claims) == ["S1", "S2", "S3", "S4", "S5"]
    assert {k: c["visit_type"] for k, c in claims.items()} == {
        "S1": "inpatient", "S2": "inpatient", "S3": "pharmacy", "S4": "other", "S5": "inpatient",
    }  # fmt: skip
    stay = claims["S1"]
    assert stay["patient_id"] == "00012"
    assert stay["department_id"] == "H001-A03"
    assert stay["doctor_id"] == "D330100000001"
    assert stay["started_at"] == datetime.datetime(2026, 3, 1, 8, 30)
    assert stay["ended_at"] == datetime.datetime(2026, 3, 9, 9)
    assert stay["eligible_amount"] == Decimal("90.00")
    assert stay["diagnosis_code"] == "I10.x00"
    # malformed codes do not become one giant doctor; a pharmacy has no department
    assert [claims[k]["doctor_id"] for k in ("S2", "S3", "S4")] == [None, None, None]
    assert claims["S3"]["department_id"] is None
    assert report.ingest["claims"]["issues"]["doctor_id"] == {"malformed": 3}
    # the refund stays, negative
    assert claims["S5"]["fund_amount"] == Decimal("-30.00")
    assert [claims[k]["out_of_region"] for k in ("S1", "S2")] == [False, True]
    assert claims["S2"]["settled_at"] == datetime.datetime(2026, 3, 10, 10, 15)
    assert claims["S4"]["settled_at"] == datetime.datetime(2026, 3, 12, 8, 5)
    # invalid and unsettled rows are left out, and counted
    assert report.ingest["claims"]["left_out"] == {"not settled yet": 1, "vali_flag is not 1": 1}
    assert report.ingest["claims"]["issues"]["visit_type"] == {"unknown": 1}
    # names and identity numbers never get in
    assert not {"psn_name", "certno"} & set(stay)


def test_national_lines_follow_their_claims(nhsa, tmp_path):
    report = ingest(nhsa, tmp_path / "out", profile="nhsa", settings=SETTINGS)
    found = tables(tmp_path / "out")
    assert sorted(found["lines"]) == ["1", "2", "3", "7", "8", "9"]
    assert report.ingest["lines"]["left_out"] == {
        "its claim was left out": 1, "not settled yet": 1, "vali_flag is not 1": 1,
    }  # fmt: skip
    assert found["lines"]["2"]["item_code"] == "0020"
    assert found["lines"]["2"]["eligible_amount"] == Decimal("30.00")
    assert [found["lines"][k]["category"] for k in ("1", "2", "3", "8")] == ["drug", "lab", "other", "drug"]
    assert report.tables["claims"]["total_differs_from_lines"] == 0
    assert sum(c["total_amount"] for c in found["claims"].values()) == Decimal(
        "130.00"
    )  # not multiplied by lines
    assert found["diagnoses"]["S1"]["name"] == "高血压"
    assert found["patients"]["00012"]["sex"] == "M"
    assert found["patients"]["00012"]["insurance_type"] == "employee"
    assert report.control_totals["claims"]["total_amount"] == {
        "in": "152.00", "out": "130.00", "quarantined": "0.00", "duplicate": "0.00", "left_out": "22.00",
    }  # fmt: skip


def test_dictionaries_are_extended_without_code(nhsa, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "nhsa"\n[claims.values.visit_type]\n99 = "chronic"\n[patients.values.sex]\n7 = "F"\n'
    )
    ingest(nhsa, tmp_path / "out", profile=mine, settings=SETTINGS)
    claims = tables(tmp_path / "out")["claims"]
    assert claims["S4"]["visit_type"] == "chronic"
    assert claims["S1"]["visit_type"] == "inpatient"


def test_frequent_unknown_codes_are_named_and_ids_are_not(tmp_path):
    source = tmp_path / "source"
    rows = {k: [v[0]] * 12 for k, v in CANONICAL.items()}
    rows["claim_id"] = [f"c{i}" for i in range(12)]
    rows["visit_type"] = ["9901"] * 6 + ["7"] + ["P-330100-0001"] * 5
    write_csv(source, "claims.csv", rows)
    report = ingest(source, tmp_path / "out", profile="canonical", settings=SETTINGS)
    found = [f for f in report.findings if f["column"] == "visit_type"]
    assert [f["rows"] for f in found] == [12]
    assert found[0]["en"].endswith(": 9901 (6)")


def test_national_departments_are_told_as_the_rules_name_them(nhsa, tmp_path):
    rows = [("0301", "呼吸内科", "A03.01"), ("03", "内科", "A03"), ("99", "特需", "本院9")]
    text = "fixmedins_code,dept_codg,hosp_dept_name,caty\n" + "".join(f"H001,{','.join(r)}\n" for r in rows)
    (nhsa / "medins_dept_b.csv").write_text(text, encoding="utf-8")
    ingest(nhsa, tmp_path / "out", profile="nhsa", settings=SETTINGS)
    found = tables(tmp_path / "out")["departments"].values()
    told = {r["name"]: r["specialty"] for r in found}
    assert told == {"呼吸内科": "respiratory", "内科": "A03", "特需": "本院9"}, (
        "what is not known stays as it is"
    )
    mapped = load_profile("nhsa").tables["departments"][0].columns["specialty"].values
    assert set(mapped.values()) <= set(SPECIALTIES)


def test_identifiers_become_keyed_pseudonyms(nhsa, tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    ingest(nhsa, tmp_path / "out", profile="nhsa", settings=SETTINGS)
    found = tables(tmp_path / "out")
    patient = pseudonym("00012", "patient", KEY.encode())
    assert found["claims"][pseudonym("S1", "claim", KEY.encode())]["patient_id"] == patient
    assert patient in found["patients"]
    assert found["lines"][pseudonym("1", "line", KEY.encode())]["claim_id"] in found["claims"]
    assert 'pseudonyms = "keyed"' in (tmp_path / "out" / "dataset.toml").read_text()
    everything = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    for raw in (b"00012", b"D330100000001", KEY.encode()):
        assert raw not in everything


def test_old_layout(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "KC21.txt").write_text(
        "AKC190|AAC001|AKB020|AKA130|BKC192|BKC194|BKF050|AKC196|AAC004|AAC006\n"
        "V1|0001|0077|21|20260301|20260305|5001|I10|1|19600102\nV2|0002|0077|21|20260301|||||\n"
    )
    (source / "KC24.txt").write_text(
        "AAZ216|AKC190|AAC001|AKB020|AKA130|AKC264|AKC253|AKE039|AAE040\nZ1|V1|0001|0077|21|100|12.5|60|20260305\n"
    )
    (source / "KC22.txt").write_text(
        "AKC190|AKE001|AKE002|AKA063|AKC226|AKC225|AAE019|AKC221\n"
        "V1|01|药|09|2|50|100|20260302\nV2|01|药|09|2|50|100|20260302\n"
    )
    report = ingest(source, tmp_path / "out", profile="kc2x", settings=SETTINGS)
    found = tables(tmp_path / "out")
    assert found["claims"]["Z1"]["eligible_amount"] == Decimal("87.50")
    assert found["claims"]["Z1"]["started_at"] == datetime.datetime(2026, 3, 1)
    assert found["claims"]["Z1"]["doctor_id"] == "5001"
    assert [line["claim_id"] for line in found["lines"].values()] == ["Z1"]
    assert report.ingest["lines"]["left_out"] == {"not settled yet": 1}


CANONICAL = {
    "claim_id": ["0001", "0002"],
    "patient_id": ["01", "02"],
    "institution_id": ["h", "h"],
    "visit_type": ["inpatient", "pharmacy"],
    "started_at": ["2026-03-01", "2026-03-02"],
    "total_amount": ["10.00", "20.00"],
    "fund_amount": ["5", "6"],
}


def test_a_workbook_with_sheets(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    sheet.title = "claims"
    sheet.append(list(CANONICAL))
    sheet.append([1, 1, 77, "inpatient", datetime.datetime(2026, 3, 1, 8), 10.5, 5])
    sheet.append([2, 2, 77, "pharmacy", 46083.5, 20, None])
    book.create_sheet("patients").append(["patient_id", "sex"])
    book["patients"].append([1, "男"])
    book.save(tmp_path / "export.xlsx")
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "canonical"\n[sources.claims.pad]\nclaim_id = 4\ninstitution_id = 4\n')
    ingest(tmp_path / "export.xlsx", tmp_path / "out", profile=mine, settings=SETTINGS)
    found = tables(tmp_path / "out")
    assert list(found["claims"]) == ["0001"]  # the second has no fund amount
    assert found["claims"]["0001"]["institution_id"] == "0077"
    assert found["claims"]["0001"]["started_at"] == datetime.datetime(2026, 3, 1, 8)
    assert found["patients"]["1"]["sex"] == "M"


def test_spreadsheet_serial_dates(tmp_path):
    pq.write_table(pa.table({**CANONICAL, "started_at": ["46083.5", "46082"]}), tmp_path / "claims.parquet")
    ingest(tmp_path / "claims.parquet", tmp_path / "out", profile="canonical", settings=SETTINGS)
    claims = tables(tmp_path / "out")["claims"]
    assert claims["0001"]["started_at"] == datetime.datetime(2026, 3, 2, 12)
    assert claims["0002"]["started_at"] == datetime.datetime(2026, 3, 1)


def test_a_database_read_in_chunks(tmp_path, monkeypatch, caplog):
    import sqlalchemy

    url = f"sqlite:///{tmp_path / 'source.db'}"
    engine = sqlalchemy.create_engine(url)
    meta = sqlalchemy.MetaData()
    table = sqlalchemy.Table("CLAIMS", meta, *(sqlalchemy.Column(c, sqlalchemy.String) for c in CANONICAL))
    meta.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            table.insert(),
            [dict(zip(CANONICAL, v, strict=True)) for v in zip(*CANONICAL.values(), strict=True)],
        )
    engine.dispose()
    monkeypatch.setenv("CLAIMS_URL", url)
    caplog.set_level("DEBUG")
    ingest("env:CLAIMS_URL", tmp_path / "out", profile="canonical", settings=SETTINGS)
    assert sorted(tables(tmp_path / "out")["claims"]) == ["0001", "0002"]
    assert "source.db" not in caplog.text


def test_secrets_of_a_url_are_never_shown(tmp_path, monkeypatch):
    with pytest.raises(UsageError) as error:
        ingest("nosuch://user:hunter2@host/db", tmp_path / "out", profile="canonical", settings=SETTINGS)
    assert "hunter2" not in str(error.value)
    with pytest.raises(UsageError, match="NOT_SET is not set"):
        ingest("env:NOT_SET", tmp_path / "out", profile="canonical", settings=SETTINGS)
    monkeypatch.setenv("BAD", f"sqlite:///{tmp_path}/no/such/folder/hunter2.db")
    with pytest.raises(DataError) as refused:
        ingest("env:BAD", tmp_path / "out", profile="canonical", settings=SETTINGS)
    assert "hunter2" not in str(refused.value)


def write_csv(folder, name, rows):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(
        "\n".join([",".join(rows), *(",".join(v) for v in zip(*rows.values(), strict=True))]) + "\n"
    )


def test_a_phone_is_only_kept_as_a_pseudonym(tmp_path, monkeypatch):
    source = tmp_path / "source"
    write_csv(source, "claims.csv", CANONICAL)
    write_csv(
        source,
        "patients.csv",
        {"patient_id": ["01", "02"], "phone": ["555-0100", "555-0100"], "address": ["甲", "乙"]},
    )
    report = ingest(source, tmp_path / "out", profile="canonical", settings=SETTINGS)
    assert {p["phone"] for p in tables(tmp_path / "out")["patients"].values()} == {None}
    assert report.ingest["patients"]["issues"] == {"phone": {"unkeyed": 2}, "address": {"unkeyed": 2}}
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    ingest(source, tmp_path / "out", profile="canonical", settings=SETTINGS)
    phones = {p["phone"] for p in tables(tmp_path / "out")["patients"].values()}
    assert phones == {pseudonym("555-0100", "phone", KEY.encode())}
    # ids that are pseudonyms already stay what they are
    write_csv(source, "patients.csv", {"patient_id": ["01", "02"], "phone": ["Tabc", "Tabc"]})
    (source / "dataset.toml").write_text('pseudonyms = "keyed"\n')
    ingest(source, tmp_path / "out", profile="canonical", settings=SETTINGS)
    assert {p["phone"] for p in tables(tmp_path / "out")["patients"].values()} == {"Tabc"}


def test_extra_columns_are_carried_unless_they_name_a_person(tmp_path):
    source = tmp_path / "source"
    write_csv(
        source,
        "claims.csv",
        {**CANONICAL, "ward": ["w1", "w2"], "psn_name": ["张三", "李四"], "身份证号": ["1", "2"]},
    )
    ingest(source, tmp_path / "out", profile="canonical", settings=SETTINGS)
    claim = tables(tmp_path / "out")["claims"]["0001"]
    assert claim["ward"] == "w1"
    assert not {"psn_name", "身份证号"} & set(claim)


def test_the_output_runs_on_the_engine(tmp_path):
    source = tmp_path / "source"
    write_csv(source, "claims.csv", CANONICAL)
    work = tmp_path / "work"
    folder = canonical_dataset(source, work, SETTINGS)
    assert folder == work
    assert canonical_dataset(folder, tmp_path / "other", SETTINGS) == folder
    with open_engine(SETTINGS.engine, tmp_path / "engine") as engine:
        engine.open_dataset(folder)
        assert engine.present["claims"] == set(CANONICAL)


def test_the_same_input_gives_the_same_bytes(nhsa, tmp_path):
    results = []
    for threads in (1, 2):
        settings = Settings(engine=EngineSettings(memory_limit="500MB", threads=threads))
        ingest(nhsa, tmp_path / f"out{threads}", profile="nhsa", settings=settings)
        files = sorted(p for p in (tmp_path / f"out{threads}").rglob("*") if p.is_file())
        results.append([(p.name, p.read_bytes()) for p in files])
    assert results[0] == results[1]


def test_check_repeats_what_ingest_found(nhsa, tmp_path):
    made = ingest(nhsa, tmp_path / "out", profile="nhsa", settings=SETTINGS)
    found = check(tmp_path / "out", SETTINGS)
    assert [c.to_json() for c in found.gate] == [c.to_json() for c in made.gate]
    assert found.control_totals == made.control_totals


def test_the_report_is_written_in_both_forms(nhsa, tmp_path):
    report = ingest(nhsa, tmp_path / "out", profile="nhsa", settings=SETTINGS)
    assert json.loads((tmp_path / "out" / "quality.json").read_text()) == json.loads(
        json.dumps(report.to_json())
    )
    html = (tmp_path / "out" / "quality.html").read_text()
    assert "数据质量报告" in html
    assert "http" not in html
    assert len(html) < 60_000


def test_impossible_dates_are_reported(tmp_path):
    source = tmp_path / "source"
    write_csv(
        source,
        "claims.csv",
        {**CANONICAL, "ended_at": ["2026-02-01", "2026-03-02"], "settled_at": ["2026-03-05", "2026-03-01"]},
    )
    write_csv(
        source, "patients.csv", {"patient_id": ["01", "02"], "birth_date": ["2026-03-02", "1960-01-01"]}
    )
    report = ingest(source, tmp_path / "out", profile="canonical", settings=SETTINGS)
    impossible = {k: v for k, v in report.tables["claims"]["impossible"].items() if v}
    assert impossible == {"ended_before_started": 1, "settled_before_started": 1, "born_after_visit": 1}


def test_medicare_amounts_and_labels(tmp_path):
    source = tmp_path / "source"
    write_csv(source, "inpatient.csv", {
        "BeneID": ["B1"], "ClaimID": ["C1"], "ClaimStartDt": ["2009-04-12"], "ClaimEndDt": ["2009-04-18"],
        "Provider": ["P1"], "InscClaimAmtReimbursed": ["26000"], "AttendingPhysician": ["D1"], "OperatingPhysician": [""],
        "OtherPhysician": ["D2"], "AdmissionDt": ["2009-04-12"], "ClmAdmitDiagnosisCode": ["7866"],
        "DeductibleAmtPaid": [""], "DischargeDt": ["2009-04-18"], "DiagnosisGroupCode": ["201"],
        "ClmDiagnosisCode_1": ["1970"], "ClmDiagnosisCode_2": ["4019"], "ClmProcedureCode_1": ["7092"],
    })  # fmt: skip
    write_csv(source, "beneficiary.csv", {"BeneID": ["B1"], "DOB": ["1943-01-01"], "DOD": [""], "Gender": ["1"],
              "State": ["39"], "County": ["230"], "ChronicCond_Cancer": ["1"], "ChronicCond_stroke": ["2"]})  # fmt: skip
    write_csv(source, "labels.csv", {"Provider": ["P1"], "PotentialFraud": ["Yes"]})
    report = ingest(source, tmp_path / "out", profile="medicare_inpatient", settings=SETTINGS)
    found = {p.stem: pq.read_table(p).to_pylist() for p in (tmp_path / "out").glob("*.parquet")}
    assert report.passed
    claim = found["claims"][0]
    assert (claim["total_amount"], claim["fund_amount"]) == (Decimal("26000.00"), Decimal("26000.00"))
    assert (claim["other_doctor_id"], claim["drg_code"]) == ("D2", "201")
    assert [(d["position"], d["code"], d["kind"]) for d in found["diagnoses"]] == [
        (1, "7866", "admission"), (1, "1970", "discharge"), (2, "4019", "discharge"),
    ]  # fmt: skip
    assert [(x["item_code"], x["category"], x["amount"]) for x in found["lines"]] == [
        ("7092", "surgery", Decimal("0.00"))
    ]
    assert found["patients"][0]["chronic_certificates"] == ["cancer"]
    assert found["audits"] == [
        {"subject_kind": "institution", "subject_id": "P1", "outcome": "confirmed",
         "decided_at": datetime.datetime(2009, 12, 31)}
    ]  # fmt: skip
