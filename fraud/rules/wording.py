"""What a hit says to an auditor or a doctor, in both languages."""

from collections.abc import Callable, Sequence

from fraud.rules.rule_set import Check

WINDOWS = {
    "visit": ("本次就诊", "in this visit"),
    "day": ("当日", "in one day"),
    "month": ("当月", "in the month"),
    "quarter": ("当季", "in the quarter"),
    "year": ("当年", "in the year"),
}
UNITS = {
    "times": ("次", "times"),
    "days": ("天", "days"),
    "claims": ("次结算", "claims"),
    "quantity": ("", "units"),
    "supply_days": ("天用量", "days of supply"),
}
MOST_NAMED = 3
Sentence = tuple[str, str]


def window_words(window: str) -> Sentence:
    """A window in words."""
    if window.endswith("d"):
        return f"{window[:-1]}天内", f"within {window[:-1]} days"
    return WINDOWS[window or "visit"]


def named(names: Sequence[str]) -> Sentence:
    """Items by name, the first few."""
    unique = list(dict.fromkeys(n for n in names if n))
    if not unique:
        return "", ""
    zh = "、".join(unique[:MOST_NAMED]) + (f"等{len(unique)}项" if len(unique) > MOST_NAMED else "")
    more = f" and {len(unique) - MOST_NAMED} more" if len(unique) > MOST_NAMED else ""
    return zh, ", ".join(unique[:MOST_NAMED]) + more


def sentences(check: Check, items: Sequence[str], partners: Sequence[str], value: float | None) -> Sentence:
    """What was found, as one sentence in each language.

    Parameters
    ----------
    check : Check
    items, partners : sequence of str
        Names of the items at issue, and of those they clash with.
    value : float or None
        What was counted or measured.
    """
    rule, row = check.rule, check.row
    zh, en = [rule.explanation_zh], [rule.explanation_en]
    items_zh, items_en = named(items)
    detail_zh, detail_en = _details(check, value)
    partners_zh, partners_en = named(partners)
    about_zh = f"{partners_zh}与{items_zh}" if partners_zh and items_zh else items_zh
    about_en = f"{partners_en} with {items_en}" if partners_en and items_en else items_en
    scope_zh = f"适应症：{row.scope_zh}" if row and row.scope_zh else ""
    scope_en = f"meant for: {row.scope_en}" if row and row.scope_en else ""
    zh += [t for t in (about_zh, detail_zh, scope_zh, row.note_zh if row else "") if t]
    en += [t for t in (about_en, detail_en, scope_en, row.note_en if row else "") if t]
    return "：".join([zh[0], "；".join(zh[1:])]) if zh[1:] else zh[0], ": ".join(
        [en[0], "; ".join(en[1:])]
    ) if en[1:] else en[0]


def exemptions(check: Check) -> tuple[Sentence, ...]:
    """Innocent explanations that were tried and did not apply."""
    p = check.parameters
    tried: list[Sentence] = []
    if p.diagnosis_days and (p.diagnoses or p.unless_diagnoses):
        tried.append((f"近{p.diagnosis_days}天的诊断", f"diagnoses of the last {p.diagnosis_days} days"))
    if p.unless_diagnoses:
        tried.append((f"诊断 {p.unless_diagnoses}", f"diagnoses {p.unless_diagnoses}"))
    if p.unless_visit_types:
        text = ", ".join(p.unless_visit_types)
        tried.append((f"就诊类型 {text}", f"visit types {text}"))
    if p.unless_specialties:
        text = ", ".join(p.unless_specialties)
        tried.append((f"科室 {text}", f"specialties {text}"))
    if p.unless_items:
        tried.append((f"同时收取 {p.unless_items}", f"charged together with {p.unless_items}"))
    if check.rule.kind == "sequence" and p.what == "readmission":
        tried.append(("一日内转院", "a transfer within a day"))
    return tuple(tried)


def _details(check: Check, value: float | None) -> Sentence:
    # By kind first: an anomaly may be named as a kind is (quantity).
    write = _OF_KIND.get(check.rule.kind) or _OF_WHAT.get(check.parameters.what)
    return write(check, value) if write is not None and value is not None else ("", "")


def number(value: float) -> str:
    """A number as people write it: at most two decimals, never an exponent."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + "%"


def _counted(check: Check, value: float) -> Sentence:
    p = check.parameters
    zh, en = window_words(p.window) if check.rule.kind == "frequency" else ("", "")
    if check.rule.kind == "quantity" and p.carry:
        zh, en = "连同尚未用完的", "with what is still in hand"
    unit_zh, unit_en = UNITS[p.unit]
    told = number(round(value) if value >= 10 else round(value, 1))
    most = number(p.limit or 0.0)
    return f"{zh}{told}{unit_zh}，限{most}{unit_zh}", f"{told} {unit_en} {en}".strip() + f", at most {most}"


def _days(zh: str, en: str) -> Callable[[Check, float], Sentence]:
    return lambda check, value: (f"{zh}{number(value)}天", f"{en} {number(value)} days")


def _share(check: Check, value: float) -> Sentence:
    part, most = _percent(value), _percent(check.parameters.limit or 0.0)
    return f"占{part}，上限{most}", f"{part} of the claim, at most {most}"


_OF_KIND: dict[str, Callable[[Check, float], Sentence]] = {
    "frequency": _counted,
    "quantity": _counted,
    "share": _share,
    "idle": _days("仅有床位护理费用的", "with only bed and nursing:"),
}
_OF_WHAT: dict[str, Callable[[Check, float], Sentence]] = {
    "supply": _days("重叠", "overlap of"),
    "stay": _days("重叠", "overlap of"),
    "inside_stay": lambda c, v: (f"{number(v)}次", f"{number(v)} visits"),
    "readmission": _days("距上次出院", "after the last discharge:"),
    "after_death": _days("死亡后第", "after death:"),
    "before_birth": _days("出生前", "before birth:"),
    "outside_stay": _days("超出住院期间", "outside the stay by"),
    "repeated_line": lambda c, v: (f"{number(v)}次", f"{number(v)} times"),
    "price_limit": lambda c, v: (f"单价{number(v)}元", f"unit price {number(v)}"),
}
