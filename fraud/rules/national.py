"""Names and codes of the national pre-check interface: 3101 (事前) and 3102 (事中) in the toolkit's words.

A request holds patients, each with encounters, each with diagnoses and orders. Names are aliases of the
fields of `fraud.rules.prescription`; here is what is more than a name: nesting, and codes of dictionaries.
Provinces extend the dictionaries, so a code that is not known says nothing rather than something wrong.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fraud.errors import UsageError

ENCOUNTERS = 20
"""Most encounters of one request."""

_MED_TYPE = {
    "11": "outpatient", "12": "outpatient", "13": "emergency", "14": "chronic",
    "15": "chronic", "16": "chronic",
    "21": "inpatient", "22": "inpatient", "23": "inpatient", "24": "inpatient", "25": "inpatient",
    "26": "inpatient", "27": "inpatient", "28": "day_surgery", "41": "pharmacy", "51": "maternity",
    "52": "maternity",
}  # fmt: skip
_MED_MDTRT_TYPE = {"1": "outpatient", "2": "inpatient", "3": "pharmacy", "4": "other"}
_MEDINS_LV = {
    **dict.fromkeys(("01", "02", "03", "04"), "tertiary"), **dict.fromkeys(("05", "06", "07"), "secondary"),
    **dict.fromkeys(("08", "09", "10"), "primary"),
}  # fmt: skip
_MEDINS_TYPE = {"B": "primary", "C": "primary", "D": "primary"}
_INSUTYPE = {"310": "employee", "340": "retired", "390": "resident"}
_CHRG_TYPE = {
    "01": "bed", "02": "consultation", "03": "exam", "04": "lab", "05": "treatment", "06": "surgery",
    "07": "nursing", "08": "consumable", "09": "drug", "10": "herb", "11": "drug", "12": "consultation",
    "13": "consultation", "14": "other",
}  # fmt: skip
_HILIST_TYPE = {"101": "drug", "102": "herb", "106": "herb", "301": "consumable"}
_SEX = {"1": "M", "2": "F", "M": "M", "F": "F", "男": "M", "女": "F", "0": "", "9": ""}
_MATN_STAS = {"1": "Z33", "2": "Z39.1"}
"""Pregnant and breast-feeding, as the diagnoses that say so."""
_DEPARTMENTS = (
    ("心血管", "cardiology"), ("心内", "cardiology"), ("内分泌", "endocrinology"), ("呼吸", "respiratory"),
    ("消化", "gastroenterology"), ("神经内", "neurology"), ("肾内", "nephrology"), ("肾病", "nephrology"),
    ("肿瘤", "oncology"), ("血液内", "hematology"), ("血液科", "hematology"), ("感染", "infectious"),
    ("风湿", "rheumatology"), ("普外", "general_surgery"), ("普通外科", "general_surgery"),
    ("骨科", "orthopedics"),
    ("泌尿", "urology"), ("妇产", ""), ("妇科", "gynecology"), ("产科", "obstetrics"), ("儿科", "pediatrics"),
    ("眼科", "ophthalmology"), ("耳鼻", "ent"), ("皮肤", "dermatology"), ("口腔", "stomatology"),
    ("中医", "tcm"), ("康复", "rehabilitation"), ("重症", "critical"), ("ICU", "critical"),
    ("全科", "general"),
    ("精神", "psychiatry"),
)  # fmt: skip
"""Parts of department names and the specialty they tell; the first that fits, empty for two at once."""


def is_national(body: Any) -> bool:
    """Whether a request has the national nesting."""
    return isinstance(body, Mapping) and any(n in body for n in ("patient_dtos", "data", "input"))


def encounters(body: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Encounters of a request: where each stands, and it as patient, encounter and orders.

    Where a patient has ``curr_mdtrt_id``, only that encounter is meant; the others tell what came before.

    Raises
    ------
    UsageError
        There is none, there are too many, or the nesting is another.
    """
    for wrapper in ("input", "data"):
        if isinstance(body.get(wrapper), Mapping):
            body = body[wrapper]
    found = []
    for where, patient in _objects(body, "patient_dtos", ""):
        own = list(_objects(patient, "fsi_encounter_dtos", f"{where}."))
        current = patient.get("curr_mdtrt_id")
        meant = [e for e in own if current and e[1].get("mdtrt_id") == current]
        found += [(w, patient, e) for w, e in meant or own]
    if not found:
        raise UsageError("patient_dtos: no encounter (fsi_encounter_dtos) in the request.")
    if len(found) > ENCOUNTERS:
        raise UsageError(f"patient_dtos: more than {ENCOUNTERS} encounters in one request.")
    for where, patient, encounter in found:
        insured = patient if "insutype" in patient else {**patient, "insutype": encounter.get("insutype")}
        yield (
            where,
            {"patient": insured, "encounter": encounter, "orders": encounter.get("fsi_order_dtos", [])},
        )


def _objects(holder: Mapping[str, Any], name: str, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Objects of a list; a single object may stand for a list of one."""
    value = holder.get(name)
    rows = [value] if isinstance(value, Mapping) else value
    if not isinstance(rows, list):
        raise UsageError(f"{where}{name}: must be a list of objects.")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise UsageError(f"{where}{name}.{number}: must be an object.")
        yield f"{where}{name}.{number}", row


def _code(data: Mapping[str, Any], name: str, digits: int = 0) -> str:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).strip().zfill(digits) if isinstance(value, str) or value < 10**9 else ""


def patient_words(data: dict[str, Any]) -> dict[str, Any]:
    """A patient's codes in the toolkit's words, where the word itself is not given."""
    if "sex" not in data and "gend" in data:
        data = {**data, "sex": _SEX.get(_code(data, "gend"), "")}
    if "insurance_type" not in data and (code := _code(data, "insutype")):
        data = {**data, "insurance_type": _INSUTYPE.get(code, "other")}
    return data


def encounter_words(data: dict[str, Any]) -> dict[str, Any]:
    """An encounter's codes in the toolkit's words, where the word itself is not given."""
    if "visit_type" not in data and ("med_type" in data or "med_mdtrt_type" in data):
        by_kind = _MED_MDTRT_TYPE.get(_code(data, "med_mdtrt_type"), "other")
        data = {**data, "visit_type": _MED_TYPE.get(_code(data, "med_type")[:2], by_kind)}
    if "institution_kind" not in data and ("medins_lv" in data or "medins_type" in data):
        kind = _MEDINS_LV.get(_code(data, "medins_lv", 2)) or _MEDINS_TYPE.get(_code(data, "medins_type")[:1])
        if data.get("visit_type") == "pharmacy":
            kind = "pharmacy"
        data = {**data, "institution_kind": kind or ""}
    if "specialty" not in data:
        for name in ("adm_dept_name", "dscg_dept_name"):
            department = data.get(name)
            if isinstance(department, str) and department:
                told = next((s for part, s in _DEPARTMENTS if part in department), "")
                return {**data, "specialty": told}
    return data


def state_diagnosis(data: Mapping[str, Any]) -> str:
    """Diagnosis that the code of pregnancy and breast-feeding stands for; empty for neither."""
    return _MATN_STAS.get(_code(data, "matn_stas"), "")


def order_words(data: dict[str, Any]) -> dict[str, Any]:
    """An order's codes in the toolkit's words, where the word itself is not given."""
    if "category" not in data:
        by_list = _HILIST_TYPE.get(_code(data, "hilist_type"), "")
        word = _CHRG_TYPE.get(_code(data, "chrg_type", 2) if "chrg_type" in data else "", by_list)
        data = {**data, "category": word}
    if "current" not in data and "curr_drord_flag" in data:
        data = {**data, "current": _code(data, "curr_drord_flag") != "0"}
    return data
