"""The pages' templates and assets, and the filters they may use."""

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from fraud.report.content import money, number, short_money

if TYPE_CHECKING:
    from jinja2 import Template


def asset(name: str) -> str:
    """Text of a template, style or script of the package."""
    return (resources.files("fraud.report") / "templates" / name).read_text(encoding="utf-8")


@cache
def template(name: str) -> "Template":
    """Template of a page; an unknown name in it is an error."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"money": money, "short_money": short_money, "number": number}
    return environment.get_template(name)
