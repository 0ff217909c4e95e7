"""Importing spreadsheets of knowledge points: layouts as published, wording, errors all at once."""

import csv

import openpyxl
import pytest

from fraud.errors import DataError, UsageError
from fraud.rules.points import import_points
from fraud.rules.points_translation import Point, Untranslated, translate
from fraud.rules.vocabulary import diagnosis_problems, item_problems


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def table(folder, name):
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def point(rule, text="", **more):
    return Point(
        **{"rule": rule, "key": "1", "name": "某药", "codes": (), "text": text, "source": "s", **more}
    )


SEX = [
    ["附件1"],
    ["“药品区分性别使用”规则对应知识点明细"],
    [],
    ["序号", "药品通用名", "限定性别", "检出逻辑", "知识点对应药品代码数量", "备注"],
    [1, "黄体酮", "女", "参保人性别与药品限定性别不符", 2, None],
    [2, "非那雄胺", "男", "参保人性别与药品限定性别不符", 1, None],
    [3, "未知药", "成人", "参保人性别与药品限定性别不符", 0, None],
]
CODES = [
    ["知识点对应药品代码"],
    ["序号", "对应知识点序号", "药品通用名", "药品代码"],
    [1, 1, "黄体酮", "XG03DAH001"],
    [2, None, None, "XG03DAH002"],
    [3, 2, "非那雄胺", "XG04CBF001"],
]


def test_two_sheets_with_title_rows_and_merged_cells(tmp_path):
    source = workbook(tmp_path / "第一批.xlsx", 知识点明细=SEX, 药品代码=CODES)
    result = import_points(source, tmp_path / "out")
    assert (result.points, result.written, result.untranslated) == (3, {"item_limits": 2}, 1)
    rows = {r["items"]: r for r in table(tmp_path / "out", "item_limits")}
    assert rows["code:XG03DAH001|code:XG03DAH002"]["sex"] == "F"
    assert rows["code:XG04CBF001"]["sex"] == "M"
    assert rows["code:XG04CBF001"]["source"] == "第一批.xlsx · 知识点明细 · row 6"
    (left,) = table(tmp_path / "out", "untranslated")
    assert left["name"] == "未知药" and "sex" in left["reason"]
    assert not list((tmp_path / "out").glob(".*")), "nothing half-written stays"


def test_importing_again_replaces_and_other_files_stay(tmp_path):
    out = tmp_path / "out"
    one = workbook(tmp_path / "a.xlsx", 知识点明细=SEX, 药品代码=CODES)
    import_points(one, out)
    first = (out / "item_limits.csv").read_bytes()
    import_points(one, out)
    assert (out / "item_limits.csv").read_bytes() == first
    rows = [["规则名称", "项目名称", "限定年龄"], ["药品儿童禁用", "左氧氟沙星", "18岁以下禁用"]]
    import_points(workbook(tmp_path / "b.xlsx", 知识点=rows), out)
    ages = {r["items"]: r["min_age"] for r in table(out, "item_limits")}
    assert len(ages) == 3 and ages["name:左氧氟沙星"] == "18"
    ids = [r["id"] for r in table(out, "item_limits")]
    assert ids == sorted(set(ids))


def test_pairs_of_charges_in_one_sheet(tmp_path):
    rows = [
        ["第七批“医疗服务项目重复收费”规则对应知识点明细"],
        ["序号", "项目A代码", "项目A名称", "项目B代码", "项目B名称", "时间区间", "检出逻辑", "逻辑依据"],
        ["1", "003101", "甲", "003102", "乙", "日", "A与B不能同时收费", "计价说明"],
        ["2", "003103", "丙", "003104", "丁", "一次住院", "A与B不能收费", "计价说明"],
    ]
    import_points(workbook(tmp_path / "七.xlsx", Sheet1=rows), tmp_path / "out")
    pairs = {r["items"]: (r["excluded"], r["window"]) for r in table(tmp_path / "out", "excluded_charges")}
    assert pairs == {"code:003101": ("code:003102", "day"), "code:003103": ("code:003104", "visit")}


@pytest.mark.parametrize(
    ("rule", "text", "more", "expected"),
    [
        ("药品限儿童使用", "限儿童", {}, ("item_limits", {"max_age": "17"})),
        ("药品儿童专用", "14岁及以下", {}, ("item_limits", {"max_age": "14"})),
        ("药品限新生儿使用", "", {}, ("item_limits", {"max_age": "0"})),
        ("药品儿童禁用", "未满12岁者", {}, ("item_limits", {"min_age": "12"})),
        ("医疗服务项目限年龄", "6-12岁", {}, ("item_limits", {"min_age": "6", "max_age": "12"})),
        (
            "药品限就医方式",
            "限住院使用",
            {},
            ("item_limits", {"visit_types": "inpatient|day_surgery|maternity|other"}),
        ),
        (
            "药品限医疗机构级别",
            "限二级及以上医疗机构",
            {},
            ("item_limits", {"institution_kinds": "tertiary|secondary|other"}),
        ),
        ("医疗服务项目限科室使用", "限口腔科", {}, ("item_limits", {"specialties": "stomatology"})),
        ("药品限适应症", "", {"diagnoses": "E11.900、E14"}, ("indications", {"diagnoses": "E11.900|E14"})),
        (
            "药品禁忌症",
            "K56肠梗阻禁用",
            {"level": "明确违规"},
            ("contraindications", {"excluded_diagnoses": "K56", "severity": "stop"}),
        ),
        (
            "妊娠期及哺乳期用药安全",
            "妊娠禁用",
            {},
            ("contraindications", {"when_sex": "F", "severity": "warn"}),
        ),
        (
            "医疗服务项目限定频次",
            "每日不超过2次",
            {},
            ("course_limits", {"unit": "times", "limit": "2", "window": "day"}),
        ),
        (
            "医疗服务项目限定频次",
            "数量总计超过上限数量",
            {"most": "1", "window": "日"},
            ("course_limits", {"unit": "quantity", "limit": "1", "window": "day"}),
        ),
        (
            "药品限支付疗程",
            "单次住院支付不超过14天",
            {},
            ("course_limits", {"unit": "days", "limit": "14", "window": "visit"}),
        ),
        ("药品限支付疗程", "每年不超过60天", {}, ("course_limits", {"limit": "60", "window": "year"})),
        ("药品超量", "一次不超过30天", {}, ("supply_limits", {"unit": "supply_days", "limit": "30"})),
        (
            "药品相互作用",
            "合用致低血压",
            {"other_name": "西地那非"},
            ("interactions", {"excluded": "name:西地那非", "window": "visit"}),
        ),
        ("中药饮片配伍禁忌", "十八反", {"other_name": "甘遂"}, ("interactions", {"excluded": "name:甘遂"})),
    ],
)
def test_wording(rule, text, more, expected):
    where, cells = translate(point(rule, text, **more))
    assert where == expected[0]
    assert {k: cells[k] for k in expected[1]} == expected[1]
    assert not item_problems(cells["items"])
    for column in {"diagnoses", "excluded_diagnoses"} & cells.keys():
        assert not diagnosis_problems(cells[column])


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("药品限工伤保险", "限工伤保险"),
        ("药品限适应症", "限2型糖尿病"),
        ("药品区分性别使用", "男女均可"),
        ("药品限就医方式", "限急救、抢救"),
        ("药品限支付疗程", "不超过12个月"),
        ("医疗服务项目限定频次", "每小时1次"),
        ("医疗服务项目重复收费", "与乙不能同收"),
        ("诊断与患者性别不符", "男"),
        ("", "限女性"),
    ],
)
def test_what_is_not_plain_is_left_to_a_person(rule, text):
    with pytest.raises(Untranslated):
        translate(point(rule, text))


def test_all_problems_at_once(tmp_path):
    stray = [*CODES, [4, 9, "无此点", 12345678]]
    holes = [*SEX[:4], [None, "黄体酮", "女", "逻辑", 1, None]]
    source = workbook(tmp_path / "bad.xlsx", 知识点明细=holes, 药品代码=stray)
    with pytest.raises(DataError) as caught:
        import_points(source, tmp_path / "out")
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "bad.xlsx, sheet 药品代码, column 药品代码: 1 codes are numbers" in text
    assert "sheet 知识点明细, column 序号: the first 1 rows have no value" in text
    assert "rows name points that no sheet of points has" in text
    assert not (tmp_path / "out").exists()


def test_refused_files(tmp_path):
    with pytest.raises(UsageError, match="save the workbook as .xlsx"):
        import_points(tmp_path / "a.xls", tmp_path / "out")
    with pytest.raises(UsageError, match="no such file"):
        import_points(tmp_path / "a.xlsx", tmp_path / "out")
    (tmp_path / "b.xlsx").write_bytes(b"no zip")
    with pytest.raises(DataError, match="cannot be read as a workbook"):
        import_points(tmp_path / "b.xlsx", tmp_path / "out")
    with pytest.raises(DataError, match="no sheet of knowledge points"):
        import_points(workbook(tmp_path / "c.xlsx", 封面=[["说明"], ["无表"]]), tmp_path / "out")


def test_a_folder_with_other_columns_is_refused(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "item_limits.csv").write_text("id,items\n", encoding="utf-8")
    source = workbook(tmp_path / "a.xlsx", 知识点明细=SEX, 药品代码=CODES)
    with pytest.raises(UsageError, match="item_limits.csv: the columns must be"):
        import_points(source, out)
    assert (out / "item_limits.csv").read_text(encoding="utf-8") == "id,items\n"
