"""What the OpenAPI page says: request schemas in both forms, examples, words in both languages."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from fraud.rules.answer import Answer
from fraud.rules.request import DiagnosisIn, EncounterIn, OrderIn, PatientIn, Prescription, national_names
from fraud.service.requests import ReactionIn

TITLE = "fraud: 医保处方事前事中核查 prescription check"
ABOUT = (
    "一张处方在开立时核查：命中的规则、适应症与禁忌、依据；医生的处理（继续并说明原因，或修改）。\n\n"
    "One prescription checked as it is written: the rules it hits, the drug's scope and contraindications, the "
    "clause; and the doctor's reaction (carry on with a reason, or change). Field names of the national "
    "interface 3101/3102/3103 are accepted."
)
_REF = "#/components/schemas/"
EXAMPLE = {
    "patient": {"patient_id": "P1", "sex": "F", "birth_date": "1986-05-02"},
    "encounter": {
        "encounter_id": "V1", "visit_type": "outpatient", "started_at": "2026-11-21 08:30",
        "diagnoses": [{"code": "K30", "name": "消化不良", "principal": True}],
    },
    "orders": [
        {"order_id": "1", "item_code": "XG03DA", "item_name": "黄体酮胶囊", "category": "drug", "quantity": 2, "unit_price": 30.5}
    ],
}  # fmt: skip
NATIONAL_EXAMPLE = {
    "data": {
        "trig_scen": "2",
        "patient_dtos": [
            {
                "patn_id": "P1", "gend": "2", "brdy": "1986-05-02", "curr_mdtrt_id": "V1",
                "fsi_encounter_dtos": [
                    {
                        "mdtrt_id": "V1", "medins_id": "H1", "medins_type": "A1", "medins_lv": "05", "med_type": "11",
                        "med_mdtrt_type": "1", "adm_date": "2026-11-21 08:30:00", "dscg_main_dise_codg": "K30",
                        "dr_codg": "D1", "insutype": "310",
                        "fsi_diagnose_dtos": [{"dise_codg": "K30", "dise_name": "消化不良", "maindise_flag": "1"}],
                        "fsi_order_dtos": [
                            {
                                "rx_id": "1", "hilist_code": "XG03DA", "hilist_name": "黄体酮胶囊", "hilist_type": "101",
                                "chrg_type": "09", "cnt": "2", "pric": "30.50", "sumamt": "61.00",
                                "drord_begn_date": "2026-11-21 08:35:00", "curr_drord_flag": "1",
                            }
                        ],
                    }
                ],
            }
        ],
    }
}  # fmt: skip
_CODES = {
    "PatientIn": {"gend": "性别 1 男 2 女", "curr_mdtrt_id": "当前就诊 the encounter that is meant"},
    "EncounterIn": {
        "med_type": "医疗类别 kind of visit: 11, 13, 14, 21, 41, 51 …", "med_mdtrt_type": "就诊类型 1 门诊 2 住院 3 购药 4 其他",
        "medins_lv": "机构等级 01–10", "medins_type": "机构类型", "insutype": "险种 310, 340, 390",
        "adm_dept_name": "入院科室名称, read as a specialty", "matn_stas": "生育状态 1 妊娠期 2 哺乳期",
    },
    "OrderIn": {
        "chrg_type": "收费类别 category 01–14", "hilist_type": "目录类别 101, 102, 201, 301",
        "hosplist_code": "医院目录代码, where hilist_code is empty", "hosplist_name": "医院目录名称, where hilist_name is empty",
    },
    "DiagnosisIn": {},
}  # fmt: skip


class Problems(BaseModel):
    """What is wrong with a request: fields and sentences, never a value."""

    problems: list[str] = Field(description="字段与问题 ``field: what is wrong``.")


class Recorded(BaseModel):
    """Reactions that are on the disk."""

    recorded: int = Field(description="已记录数 reactions written.")


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problems, "description": "不是规范的 JSON · no strict JSON"},
    413: {"model": Problems, "description": "超过 1 MB · larger than 1 MB"},
    415: {"model": Problems, "description": "压缩的请求体 · compressed body"},
    422: {"model": Problems, "description": "字段有误，列出全部字段 · mistaken fields, all of them named"},
    503: {"model": Problems, "description": "无法写入，请重发 · could not be written, send again"},
}


def _body(schema: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF + schema}, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _route(
    summary: str, description: str, answer: type | None = None, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    responses = dict(ERRORS) if body is not None else {}
    if answer is not None:
        responses[200] = {"model": answer}
    return {"summary": summary, "description": description, "responses": responses, "openapi_extra": body}


_REACTION = {"result_id": "M-INDICATION.d4f539cc225b8720", "way": "carry_on", "reason": "黄体功能不全"}
_WARN = {"warn_rslt_id": _REACTION["result_id"], "dspo_way": "1", "dspo_way_rea": _REACTION["reason"]}
ROUTES: dict[str, dict[str, Any]] = {
    "/check": _route(
        "核查一张处方 check a prescription",
        "回答命中的规则、严重程度、金额、说明及其知识。Answers the rules that are hit with severity, amount, explanation and knowledge. `?stage=before` 事前, `?stage=during` 事中 (default).",
        Answer,
        _body("Prescription", EXAMPLE),
    ),
    "/fsi/3101": _route(
        "3101 明细审核事前分析",
        "The same before the orders take effect, with the national names in and out.",
        body=_body("Check3101", NATIONAL_EXAMPLE),
    ),
    "/fsi/3102": _route(
        "3102 明细审核事中分析",
        "The same while the visit goes on, with the national names in and out.",
        body=_body("Check3101", NATIONAL_EXAMPLE),
    ),
    "/reaction": _route(
        "记录医生的处理 record a reaction",
        "继续执行须写明原因，或返回修改；落盘后才应答。Carry on with a reason, or change; answered once it is on the disk.",
        Recorded,
        _body("ReactionIn", _REACTION),
    ),
    "/fsi/3103": _route(
        "3103 事前事中服务反馈",
        "The same with the national names.",
        body=_body("Reaction3103", {"data": {"warn_type": "1", "warns": [_WARN]}}),
    ),
    "/health": _route(
        "状态 health",
        "规则与历史版本、最近一次重载的错误。Versions of rules and history, and what was wrong at the last reload.",
    ),
    "/reload": _route(
        "重载规则 reload the rules",
        "有错则保留原规则并回答 409。With mistakes the old rules stay, and the answer is 409.",
    ),
}
"""What the document says of each path."""


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the schemas of the requests."""
    if app.openapi_schema is None:
        told = get_openapi(title=TITLE, version=app.version, description=ABOUT, routes=app.routes)
        schemas = told.setdefault("components", {}).setdefault("schemas", {})
        for model in (Prescription, ReactionIn):
            own = model.model_json_schema(ref_template=_REF + "{model}")
            schemas |= own.pop("$defs", {})
            schemas[model.__name__] = own
        schemas |= _national_schemas()
        app.openapi_schema = told
    return app.openapi_schema


def _national_schemas() -> dict[str, Any]:
    """Schemas of 3101/3102 and 3103 by their national names."""
    diagnosis, order = _national(DiagnosisIn), _national(OrderIn)
    encounter = _national(EncounterIn)
    encounter["properties"] |= {"fsi_diagnose_dtos": _list(diagnosis), "fsi_order_dtos": _list(order)}
    patient = _national(PatientIn)
    patient["properties"]["fsi_encounter_dtos"] = _list(encounter)
    warn = {
        "warn_rslt_id": "违规标识, the jr_id",
        "dspo_way": "1 继续执行 carry on, 2 返回修改 change",
        "dspo_way_rea": "处理原因 reason",
    }
    return {
        "Check3101": _object({"data": _object({"patient_dtos": _list(patient)})}),
        "Reaction3103": _object(
            {"data": _object({"warn_type": _text("1 事前 2 事中"), "warns": _list(_object({k: _text(v) for k, v in warn.items()}))})}
        ),
    }  # fmt: skip


def _national(model: type[BaseModel]) -> dict[str, Any]:
    named = {
        name: _text(model.model_fields[own].description or "") for own, name in national_names(model).items()
    }
    return _object(named | {n: _text(t) for n, t in _CODES[model.__name__].items()})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}
