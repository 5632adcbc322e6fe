"""Each rule of .semgrep/ is shown to find something and to let something pass; `make check` sees that it does."""

from __future__ import annotations

import re

from tests.test_house import ROOT

RULES = sorted((ROOT / ".semgrep").glob("*.yml"))


def test_every_rule_has_an_example_of_both() -> None:
    assert RULES
    for path in RULES:
        (examples,) = [each for each in path.parent.glob(f"{path.stem}.*") if each != path]
        text = examples.read_text(encoding="utf-8")
        for rule in re.findall(r"^  - id: (\S+)$", path.read_text(encoding="utf-8"), re.M):
            assert re.search(rf"ruleid: {re.escape(rule)}\b", text), f"{path.name}: {rule} finds nothing"
            assert re.search(rf"ok: {re.escape(rule)}\b", text), f"{path.name}: {rule} lets nothing pass"


def test_every_exception_has_a_reason() -> None:
    files = [
        *ROOT.glob("*.py"),
        *(
            path
            for room in ("commands", "spiders", "aggregator", "feeds", "demo", "deploy")
            for path in (ROOT / room).rglob("*")
            if path.suffix in {".py", ".js", ".html", ".php"}
        ),
    ]
    told = [
        line for path in files for line in path.read_text(encoding="utf-8").splitlines() if "nosem" + "grep" in line
    ]
    assert told
    assert [line for line in told if not re.search("nosem" + r"grep: [a-z-]+ (?:#|//) \w+", line)] == []


def test_no_finding_of_bandit_is_silenced_without_a_name() -> None:
    files = [
        path for room in ("commands", "spiders", "aggregator", "feeds", "demo") for path in (ROOT / room).rglob("*.py")
    ]
    told = [line for path in files for line in path.read_text(encoding="utf-8").splitlines() if "# no" + "sec" in line]
    assert [line for line in told if not re.search("# no" + r"sec B\d{3} # \w+", line)] == []
