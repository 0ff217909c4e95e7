"""Who may do what: permissions and the roles that hold them, as data."""

from collections.abc import Iterable

PERMISSIONS: dict[str, tuple[str, str]] = {
    "list.view": ("看疑点清单", "see the list"),
    "case.view": ("看案件", "see a case"),
    "case.take": ("领取下一件", "take the next case"),
    "case.assign": ("分派与改派", "assign and reassign"),
    "case.review": ("初审", "first review"),
    "case.note": ("评论与附件", "comment and attach files"),
    "case.reply": ("推送机构与登记答复", "send to the institution and record its reply"),
    "case.second_review": ("复审", "second review"),
    "case.conclude": ("合议与结论", "panel and conclusion"),
    "case.recover": ("追回与移送", "recover and refer"),
    "case.archive": ("归档", "archive"),
    "forms.export": ("导出通知书与线索清单", "export notices and clues"),
    "forms.import": ("传回填好的表", "read filled-in forms"),
    "names.view": ("看姓名与证件号", "see names and certificate numbers"),
    "figures.view": ("看统计", "see the figures"),
    "schemes.take": ("为新手法的结算立案", "open cases of new schemes"),
    "model.view": ("看模型对比", "compare the models"),
    "slice.set": ("设定随机抽查份额", "set the random slice"),
    "audits.export": ("导出结论", "export decisions"),
    "trail.view": ("看审计轨迹", "see the audit trail"),
    "accounts.manage": ("管理账号", "manage accounts"),
}

_READ = frozenset({"list.view", "case.view"})
_AUDITOR = _READ | {
    "case.take", "case.review", "case.note", "case.reply", "forms.export", "forms.import", "names.view",
}  # fmt: skip
_SENIOR = _AUDITOR | {"case.assign", "case.second_review", "case.archive", "schemes.take"}

ROLES: dict[str, tuple[str, str, frozenset[str]]] = {
    "auditor": ("稽核员", "auditor", _AUDITOR),
    "senior_auditor": ("高级稽核员", "senior auditor", _SENIOR),
    "head": (
        "负责人",
        "department head",
        _SENIOR
        | {
            "case.conclude",
            "case.recover",
            "figures.view",
            "model.view",
            "slice.set",
            "audits.export",
            "trail.view",
        },  # fmt: skip
    ),
    "data_scientist": (
        "数据分析员",
        "data scientist",
        _READ | {"figures.view", "model.view", "audits.export"},
    ),
    "read_only": ("只读", "read-only", _READ),
    "administrator": ("系统管理员", "administrator", frozenset({"accounts.manage", "trail.view"})),
}
"""Role → its name in both languages and its permissions. An administrator sees no case."""

ANY_CASE = frozenset({"case.assign"})
"""Holders of one of these act on cases of others; everybody else on their own only."""


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """Permissions of somebody with these roles; an unknown role gives none."""
    return frozenset().union(*(ROLES[role][2] for role in roles if role in ROLES))
