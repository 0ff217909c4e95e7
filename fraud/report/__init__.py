"""What a person opens: ``report.html`` and ``suspicions.xlsx``."""

from fraud.report.content import ReportContent
from fraud.report.html import render, write_html
from fraud.report.xlsx import write_xlsx

__all__ = ["ReportContent", "render", "write_html", "write_xlsx"]
