"""The quality report as one self-contained page, Chinese first."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fraud.ingest.quality import QualityReport

_TEMPLATE = """<!doctype html>
<html lang="zh"><meta charset="utf-8"><title>数据质量 · {{ r.dataset.name }}</title>
<style>
body{font:14px/1.5 "Noto Sans CJK SC","Microsoft YaHei",sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:.5em 0 1.5em}th,td{border-bottom:1px solid #ddd;padding:.2em .8em;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}.ok{color:#17693a}.no{color:#a3201d;font-weight:bold}
small{color:#666}details{margin:.5em 0}
</style>
<h1>数据质量报告 <small>Data quality</small></h1>
<p>{{ r.dataset.name }} · 方案 profile {{ r.dataset.profile }} · 币种 currency {{ r.dataset.currency }} ·
<b class="{{ 'ok' if r.passed else 'no' }}">{{ '通过 passed' if r.passed else '未通过，不可评分 refused' }}</b></p>
<h2>闸门 <small>Gate</small></h2>
<table><tr><th></th><th>检查</th><th>位置</th><th>数值</th><th>阈值</th></tr>
{% for c in r.gate %}<tr><td class="{{ 'ok' if c.passed else 'no' }}">{{ '✓' if c.passed else '✗' }}</td>
<td>{{ c.zh }}<br><small>{{ c.en }}</small></td><td>{{ c.where }}</td><td class=n>{{ '%.4g'|format(c.value) }}</td><td class=n>{{ '%.4g'|format(c.threshold) }}</td></tr>
{% endfor %}</table>
{% if r.control_totals %}<h2>控制总数 <small>Control totals</small></h2>
<table><tr><th>表</th><th>项目</th><th>读入 in</th><th>写出 out</th><th>隔离 quarantined</th><th>重复 duplicate</th><th>排除 left out</th></tr>
{% for t, totals in r.control_totals.items() %}{% for what, v in totals.items() %}
<tr><td>{{ t }}</td><td>{{ '行数 rows' if what == 'rows' else 'Σ ' + what }}</td>
{% for f in ('in', 'out', 'quarantined', 'duplicate', 'left_out') %}<td class=n>{{ v.get(f, '') }}</td>{% endfor %}</tr>
{% endfor %}{% endfor %}</table>{% endif %}
{% if r.findings %}<h2>发现 <small>Findings</small></h2>
<table><tr><th>表</th><th>列</th><th>行数</th><th>说明</th></tr>
{% for f in r.findings %}<tr><td>{{ f.table }}</td><td>{{ f.column }}</td><td class=n>{{ f.rows }}</td><td>{{ f.zh }}<br><small>{{ f.en }}</small></td></tr>
{% endfor %}</table>{% endif %}
<h2>各表 <small>Tables</small></h2>
{% for t, v in r.tables.items() %}<details><summary><b>{{ t }}</b> · {{ titles[t] }} · {{ v.rows }} 行{% if v.absent %} · 缺列 {{ v.absent|join('、') }}{% endif %}</summary>
<table><tr><th>列</th><th>空值</th><th>占比</th><th>字典外</th><th>最小</th><th>最大</th></tr>
{% for c, x in v['columns'].items() %}<tr><td>{{ c }}</td><td class=n>{{ x.nulls }}</td><td class=n>{{ '%.2f%%'|format(100 * x.null_share) }}</td>
<td class=n>{{ x.get('out_of_domain', '') }}</td><td>{{ x.get('min') or '' }}</td><td>{{ x.get('max') or '' }}</td></tr>
{% endfor %}</table></details>
{% endfor %}</html>
"""


def page(report: "QualityReport") -> str:
    """HTML of a report: no outside resource, no script, every value escaped."""
    import jinja2

    from fraud.schema import TABLES

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    titles: dict[str, Any] = {name: table.zh for name, table in TABLES.items()}
    return environment.from_string(_TEMPLATE).render(r=report, titles=titles)
