"""The workbench's tests run where its extra is installed."""

from importlib.util import find_spec

if find_spec("django") and find_spec("argon2"):
    from browsing import another, chrome, one_chrome, site  # noqa: F401
    from fixtures import browser, case, database, people, template  # noqa: F401
else:
    collect_ignore_glob = ["*.py"]
