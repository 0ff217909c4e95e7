"""Knowledge points in the columns of our knowledge tables: what the words say plainly, nothing else."""

import re
from collections.abc import Callable
from dataclasses import dataclass

# What a point says, in the columns of a table.
TABLES: dict[str, tuple[str, ...]] = {
    table: tuple(columns.split())
    for table, columns in {
        "indications": "items diagnoses scope_zh scope_en contraindications_zh contraindications_en",
        "item_limits": "items sex min_age max_age visit_types institution_kinds specialties",
        "contraindications": "items excluded_diagnoses when_sex severity",
        "interactions": "items excluded window severity",
        "excluded_charges": "items excluded window",
        "supply_limits": "items unit limit when_visit_types",
        "course_limits": "items unit limit window",
    }.items()
}
SPECIALTIES = {
    "心血管": "cardiology", "内分泌": "endocrinology", "呼吸": "respiratory", "消化": "gastroenterology",
    "神经内": "neurology", "肾内": "nephrology", "肿瘤": "oncology", "血液": "hematology",
    "感染": "infectious", "风湿": "rheumatology", "普外": "general_surgery", "骨科": "orthopedics",
    "泌尿": "urology", "妇科": "gynecology", "妇产": "gynecology|obstetrics", "产科": "obstetrics",
    "儿科": "pediatrics", "眼科": "ophthalmology", "耳鼻": "ent", "皮肤": "dermatology",
    "口腔": "stomatology", "中医": "tcm", "康复": "rehabilitation", "重症": "critical",
    "精神": "psychiatry",
}  # fmt: skip
PREGNANCY = "O10-O16|O20-O26|O28-O36|O40-O48|Z33-Z36"
CHILD = 17  # greatest age of a child where the point names none
DIGITS = {"一": "1", "两": "2", "二": "2", "三": "3", "四": "4", "五": "5", "六": "6", "七": "7"}


class Untranslated(Exception):
    """A point that no table can say; the text is the reason."""


@dataclass(frozen=True)
class Point:
    """A knowledge point as read: rule name, item, and what is said of it.

    `text` joins limit, point, logic, message and basis; `codes` are item codes.
    """

    rule: str
    key: str
    name: str
    codes: tuple[str, ...]
    text: str
    source: str
    other_name: str = ""
    other_codes: tuple[str, ...] = ()
    diagnoses: str = ""
    most: str = ""
    window: str = ""
    level: str = ""
    limit: str = ""


def translate(point: Point) -> tuple[str, dict[str, str]]:
    """Table and cells of a point, chosen by words of its rule name.

    Raises
    ------
    Untranslated
        With the reason.
    """
    for words, table, cells in TRANSLATIONS:
        if re.search(words, point.rule):
            items = _selector(point.codes, point.name)
            return table, {"items": items, **cells(point)}
    raise Untranslated(f"no table says a rule of this kind ({point.rule or 'rule name not found'})")


def _selector(codes: tuple[str, ...], name: str) -> str:
    if codes:
        return "|".join(f"code:{c}" for c in codes)
    if not name:
        raise Untranslated("neither codes nor a name of the item")
    if "|" in name or name.startswith("!"):
        raise Untranslated("the name holds a character of the selector language; give codes")
    return f"name:{name}"


def _sex(point: Point) -> dict[str, str]:
    text = point.limit if re.search("男|女", point.limit) else point.text
    men, women = "男" in text, "女" in text
    if men == women:
        raise Untranslated("the sex is not plain from the text")
    only = "M" if men else "F"
    if re.search(r"[男女](性|患者)*(禁用|不得|不可|不能)|非限", text):
        only = "F" if only == "M" else "M"
    return {"sex": only}


def _ages(text: str) -> tuple[str, str]:
    """Least and greatest age in years, both inclusive, as far as the text names them."""
    low = high = ""
    if found := re.search(r"(\d+)\s*(?:周?岁)?\s*[-~至到]\s*(\d+)\s*周?岁", text):
        return found.group(1), found.group(2)
    if re.search(r"\d+\s*个?月|\d+\s*[天日]龄", text):
        raise Untranslated("ages below a year are not told apart")
    if found := re.search(r"(?:≥|>=|大于等于|不小于|年满)\s*(\d+)\s*周?岁", text):
        low = found.group(1)
    elif found := re.search(r"(?:>|大于|超过)\s*(\d+)\s*周?岁", text):
        low = str(int(found.group(1)) + 1)
    elif found := re.search(r"(\d+)\s*周?岁\s*(?:及|或|\(含\))?\s*以上", text):
        low = found.group(1)
    if found := re.search(r"(?:≤|<=|小于等于|不大于|不超过)\s*(\d+)\s*周?岁", text):
        high = found.group(1)
    elif found := re.search(r"(?:<|小于|未满|不满|不足)\s*(\d+)\s*周?岁", text):
        high = str(int(found.group(1)) - 1)
    elif found := re.search(r"(\d+)\s*周?岁\s*(及|或|含|\(含\))?\s*以[下内]", text):
        high = str(int(found.group(1)) - (0 if found.group(2) else 1))
    return low, high


def _age(point: Point) -> dict[str, str]:
    if "新生儿" in point.rule:
        return {"max_age": "0"}
    low, high = _ages(point.limit)
    if not low and not high:
        low, high = _ages(point.text)
    if re.search("禁用|禁忌", point.rule):
        if not high:
            raise Untranslated("the age of the forbidden is not plain from the text")
        return {"min_age": str(int(high) + 1)}
    if "儿童" in point.rule:
        return {"min_age": low, "max_age": high or str(CHILD)}
    if not low and not high:
        raise Untranslated("the age is not plain from the text")
    return {"min_age": low, "max_age": high}


def _visit(point: Point) -> dict[str, str]:
    if re.search("急救|抢救", point.text):
        raise Untranslated("rescue is not a visit type; the record tells it")
    kinds = []
    if "门诊" in point.text:
        kinds += ["outpatient", "chronic"]
    if re.search("急诊|门急诊", point.text):
        kinds += ["emergency"]
    if "住院" in point.text:
        kinds += ["inpatient", "day_surgery", "maternity"]
    if not kinds or re.search("除外|不得|禁|非门诊|非住院", point.text):
        raise Untranslated("the visit types are not plain from the text")
    return {"visit_types": "|".join([*kinds, "other"])}


def _institution(point: Point) -> dict[str, str]:
    text = point.text
    if re.search(r"二级及(其)?以上|二级\(含\)以上", text):
        return {"institution_kinds": "tertiary|secondary|other"}
    if re.search("三级", text) and "二级" not in text:
        return {"institution_kinds": "tertiary|other"}
    if re.search(r"一级及(其)?以上|医疗机构", text) and "药店" in text:
        return {"institution_kinds": "tertiary|secondary|primary|other"}
    raise Untranslated("the level of institution is not plain from the text")


def _department(point: Point) -> dict[str, str]:
    found = [s for word, s in SPECIALTIES.items() if word in point.text]
    if not found:
        raise Untranslated("the department is none of the specialties of a dataset")
    return {"specialties": "|".join(dict.fromkeys("|".join(found).split("|")))}


def _diagnoses(point: Point) -> str:
    pattern = r"(?<![A-Za-z0-9])[A-Z]\d{2}(?:\.[0-9xX]{1,4})?(?![0-9])"
    found = re.findall(pattern, point.diagnoses or point.text)
    if not found:
        raise Untranslated("the diagnoses are in words only; add ICD-10 codes")
    return "|".join(dict.fromkeys(found))


def _indication(point: Point) -> dict[str, str]:
    return {"diagnoses": _diagnoses(point), "scope_zh": point.text}


def _severity(point: Point) -> str:
    if re.search("明确|严重|拦截|禁止", point.level):
        return "stop"
    return "note" if re.search("提示|提醒", point.level) else "warn"


def _contraindication(point: Point) -> dict[str, str]:
    cells = {"severity": _severity(point)}
    if re.search("妊娠|孕", point.rule):
        return {**cells, "excluded_diagnoses": PREGNANCY, "when_sex": "F"}
    return {**cells, "excluded_diagnoses": _diagnoses(point)}


def _other(point: Point) -> str:
    try:
        return _selector(point.other_codes, point.other_name)
    except Untranslated:
        raise Untranslated("the second item of the pair is not in a column of its own") from None


def _pair(point: Point) -> dict[str, str]:
    said = point.window or " ".join(re.findall("同一?[日天]|当日|同时", point.text))
    day = re.search("日|天|同时", said)
    return {"excluded": _other(point), "window": "day" if day else "visit"}


def _interaction(point: Point) -> dict[str, str]:
    return {"excluded": _other(point), "window": "visit", "severity": _severity(point)}


def _number(text: str, units: str) -> str:
    for word, digit in DIGITS.items():
        text = re.sub(f"{word}(?={units})", digit, text)
    found = re.search(rf"(\d+(?:\.\d+)?)\s*(?:{units})", text)
    return found.group(1) if found else ""


WINDOWS = (
    ("小时", ""),
    ("半年", "182d"),
    ("日|天", "day"),
    ("周", "7d"),
    ("季度?", "quarter"),
    (r"个?月", "month"),
    ("年", "year"),
    ("次就诊|次住院|住院期间", "visit"),
)


def _window(point: Point) -> str:
    spoken = r"[每同一半]个?(?:小时|日|天|周|月|季度|年|次住院|次就诊)"
    said = point.window or " ".join(re.findall(spoken, point.text))
    if not said:
        return "visit"  # without a time word the same visit is meant
    for word, window in WINDOWS:
        if re.search(word, said):
            if not window:
                break
            return window
    raise Untranslated("the period is none a rule can look over")


def _frequency(point: Point) -> dict[str, str]:
    limit = _number(point.most + "次", "次") if point.most else _number(point.text, "次")
    if not limit:
        raise Untranslated("the greatest number is not plain from the text")
    unit = "quantity" if "数量" in point.text else "times"
    return {"unit": unit, "limit": limit, "window": _window(point)}


def _course(point: Point) -> dict[str, str]:
    limit = _number(point.most + "天", "天") if point.most else _number(point.text, "天|日")
    if not limit:
        raise Untranslated("the course is not given in days")
    window = _window(point)
    return {"unit": "days", "limit": limit, "window": "visit" if window == "day" else window}


def _supply(point: Point) -> dict[str, str]:
    said = point.most or point.text
    if days := _number(said, "天|日"):
        return {"unit": "supply_days", "limit": days}
    if months := _number(said, "个月"):
        return {"unit": "supply_days", "limit": str(int(float(months) * 30))}
    if quantity := _number(said + "个" if point.most else said, "盒|支|瓶|片|粒|袋|个|剂|克|g"):
        return {"unit": "quantity", "limit": quantity}
    raise Untranslated("the greatest quantity is not plain from the text")


TRANSLATIONS: tuple[tuple[str, str, Callable[[Point], dict[str, str]]], ...] = (
    ("相互作用|配伍", "interactions", _interaction),
    ("重复收费|分解收费", "excluded_charges", _pair),
    ("诊断|手术操作编码", "item_limits", lambda p: _refuse("diagnoses and procedures are no items")),
    ("性别", "item_limits", _sex),
    ("新生儿|儿童|年龄", "item_limits", _age),
    ("就医方式", "item_limits", _visit),
    ("机构级别|医院级别|医疗机构", "item_limits", _institution),
    ("科室", "item_limits", _department),
    ("妊娠|孕妇|禁忌", "contraindications", _contraindication),
    ("适应症|限疾病|病种", "indications", _indication),
    ("频次|次数", "course_limits", _frequency),
    ("疗程", "course_limits", _course),
    ("超量|开药量|开药天数|支付天数|数量超标|超限定数量", "supply_limits", _supply),
)


def _refuse(reason: str) -> dict[str, str]:
    raise Untranslated(reason)
