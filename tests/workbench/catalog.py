"""The pages' catalog: messages that code and templates speak, and the files they are translated in."""

import ast
import re
from pathlib import Path

import polib
from django.utils.translation.template import templatize

HERE = Path(__file__).parents[2] / "fraud" / "workbench"
FILE = HERE / "locale" / "en" / "LC_MESSAGES" / "django.po"
COMPILED = FILE.with_suffix(".mo")
_CALL = re.compile(r"\b(?:_|gettext|ngettext|pgettext)\((?=u?['\"])")
Message = tuple[str, str | None, str | None]  # text, plural, context


def messages() -> dict[Message, set[str]]:
    """Messages and the files that speak them."""
    found: dict[Message, set[str]] = {}
    for path in sorted(HERE.rglob("*.py")):
        for message in in_code(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(message, set()).add(path.name)
    for path in sorted(HERE.rglob("*.html")):
        for message in in_template(path.read_text(encoding="utf-8")):
            found.setdefault(message, set()).add(path.name)
    return found


def in_code(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if node.func.id in ("gettext", "gettext_noop") and texts:
                yield texts[0], None, None
            elif node.func.id == "ngettext" and len(texts) == 2:
                yield texts[0], texts[1], None


def in_template(source: str):
    """Messages of a template, as Django itself makes them of its tags."""
    made = templatize(source)
    for call in _CALL.finditer(made):
        name, rest = call[0].strip("("), made[call.end() :]
        texts, rest = [], rest.lstrip()
        for _ in range(2):
            literal = re.match(r"\s*u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\s*,?", rest, re.S)
            if not literal:
                break
            texts.append(ast.literal_eval(literal[1]))
            rest = rest[literal.end() :]
        if name == "pgettext":
            yield texts[1], None, texts[0]
        else:
            yield texts[0], texts[1] if name == "ngettext" else None, None


def update() -> list[str]:
    """Bring the catalog up to date: new messages in, unused ones out; what has no English yet."""
    known = polib.pofile(str(FILE)) if FILE.exists() else polib.POFile(wrapwidth=110)
    known.wrapwidth = 110
    if not known.metadata:
        known.metadata = {
            "Content-Type": "text/plain; charset=utf-8", "Content-Transfer-Encoding": "8bit",
            "Language": "en", "Plural-Forms": "nplurals=2; plural=(n != 1);",
        }  # fmt: skip
    before = {(e.msgid, e.msgid_plural or None, e.msgctxt): e for e in known}
    wanted = messages()
    made = polib.POFile(wrapwidth=110)
    made.metadata = known.metadata
    for message, places in sorted(wanted.items(), key=lambda m: (sorted(m[1]), m[0][0], m[0][2] or "")):
        text, plural, context = message
        entry = before.get(message) or polib.POEntry(
            msgid=text,
            msgctxt=context,
            **({"msgid_plural": plural, "msgstr_plural": {0: "", 1: ""}} if plural else {}),
        )
        entry.comment, entry.flags = (
            ", ".join(sorted(places)),
            ["python-format"] if "%(" in text or "%s" in text else [],
        )
        made.append(entry)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(FILE))
    COMPILED.write_bytes(made.to_binary())
    return [e.msgid for e in made if not e.translated()]
